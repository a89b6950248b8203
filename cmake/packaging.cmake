# CPack: connectd (daemon and plugins) and connectd-dev (what plugin authors need).
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME connectd)
set(CPACK_PACKAGE_VENDOR "connectd")
set(CPACK_PACKAGE_CONTACT "connectd maintainers <maintainers@connectd.invalid>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL server dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_HOMEPAGE "https://connectd.invalid")
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME connectd)
set(CPACK_DEBIAN_SERVER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SERVER_DESCRIPTION "data integration daemon with a durable log inside
 Moves data: change data capture from PostgreSQL, syslog and files in;
 HTTP and files out; a partitioned, durable log between them.")
set(CPACK_DEBIAN_SERVER_PACKAGE_SUGGESTS "postgresql, connectd-dev")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/packaging/debian/postinst;${PROJECT_SOURCE_DIR}/packaging/debian/prerm;${PROJECT_SOURCE_DIR}/packaging/debian/postrm;${PROJECT_SOURCE_DIR}/packaging/debian/conffiles")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME connectd-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "connectd (= ${PROJECT_VERSION}), pkg-config")
set(CPACK_DEBIAN_DEV_DESCRIPTION "headers and SDK for connectd plugins
 The C ABI that sources, sinks, transforms and converters are written against,
 a host to test them with, examples and the manual.")
include(CPack)
