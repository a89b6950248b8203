# CN_SANITIZE=address,undefined or thread: for the whole build, plugins included.
if(CN_SANITIZE)
  add_compile_options(-fsanitize=${CN_SANITIZE} -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${CN_SANITIZE})
endif()
if(CN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=address,undefined)
endif()
