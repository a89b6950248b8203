# CPack: one .deb with the daemon and its plugins, one with the headers for plugin authors.
set(CPACK_GENERATOR DEB)
