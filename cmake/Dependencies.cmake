# Third-party libraries: Debian's packages, llhttp's C sources and BoringSSL.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(PSL REQUIRED IMPORTED_TARGET libpsl)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(BROTLI REQUIRED IMPORTED_TARGET libbrotlienc)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)

# llhttp ships as C sources in Debian's node-llhttp. Its strict mode is off by default.
find_path(LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH REQUIRED)
find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH REQUIRED)
add_library(llhttp STATIC ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/api.c ${LLHTTP_SOURCES}/http.c)
target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE})
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(llhttp PRIVATE -O2 -w)

# BoringSSL: compiled once into a cache outside the tree, by compiler and flags.
set(boringssl_flags "")
if(LATCHKEY_SANITIZE MATCHES "thread")
  set(boringssl_flags "-fsanitize=thread")  # its atomics must be visible to TSan
endif()
execute_process(
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/boringssl/build.sh ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER}
          "${boringssl_flags}" ${BORINGSSL_SOURCE_DIR}
  OUTPUT_VARIABLE boringssl OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "BoringSSL could not be built; see above")
endif()
message(STATUS "BoringSSL: ${boringssl}")
add_library(boringssl INTERFACE)
target_include_directories(boringssl SYSTEM INTERFACE ${boringssl}/include)
target_link_libraries(boringssl INTERFACE ${boringssl}/lib/libssl.a ${boringssl}/lib/libcrypto.a
  Threads::Threads)
# libcurl brings OpenSSL's libcrypto.so into the process: ours must not be seen outside.
target_link_options(boringssl INTERFACE -Wl,--exclude-libs,ALL)
