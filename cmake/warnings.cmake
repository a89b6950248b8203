# cn_warnings: linked privately by every target of ours, never exported.
add_library(cn_warnings INTERFACE)
target_compile_options(cn_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wcast-qual -Wmissing-prototypes -Wstrict-prototypes -Wwrite-strings -Wpointer-arith
  -Wvla -Wformat=2 -Wimplicit-fallthrough -Wno-unused-parameter -Wno-missing-field-initializers
  -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion
  -fno-strict-aliasing -fno-common -fno-omit-frame-pointer $<$<BOOL:${CN_WERROR}>:-Werror>)
target_compile_definitions(cn_warnings INTERFACE _GNU_SOURCE $<$<BOOL:${CN_TEST_POINTS}>:CN_TEST_POINTS>)
# Hardening, where no sanitizer replaces it.
if(NOT CN_SANITIZE AND NOT CN_FUZZ)
  target_compile_options(cn_warnings INTERFACE -fstack-protector-strong -fstack-clash-protection
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
endif()
