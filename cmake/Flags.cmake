# Warnings, sanitizers and the shape of our libraries.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(latchkey_flags INTERFACE)
target_compile_options(latchkey_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror)
target_include_directories(latchkey_flags INTERFACE ${CMAKE_SOURCE_DIR})

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(latchkey_flags INTERFACE -Wreserved-identifier)
endif()

if(LATCHKEY_SANITIZE)
  set(sanitize -fsanitize=${LATCHKEY_SANITIZE} -fno-omit-frame-pointer)
  if(LATCHKEY_SANITIZE MATCHES "undefined")
    list(APPEND sanitize -fno-sanitize-recover=undefined)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      list(APPEND sanitize -fno-sanitize=pointer-overflow)  # RapidJSON adds 0 to null pointers
    endif()
  endif()
  add_compile_options(${sanitize})
  add_link_options(${sanitize})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 finds "maybe uninitialized" strings in every moved std::variant; clang checks this too.
  target_compile_options(latchkey_flags INTERFACE -Wno-maybe-uninitialized)
  # It sees overlapping copies in "literal" + std::string at -O2 and above (GCC bug 105651).
  target_compile_options(latchkey_flags INTERFACE -Wno-restrict)
  if(LATCHKEY_SANITIZE MATCHES "thread")
    target_compile_options(latchkey_flags INTERFACE -Wno-tsan)  # std::atomic_thread_fence in headers
  endif()
endif()

# Where everything is built once, a cache costs more than it saves.
if(NOT "$ENV{CI}")
  find_program(CCACHE ccache)
endif()
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# What nearly every file includes is read once: a build takes a fifth to a half less time. The preset "dev" does so for tests only, so that
# a file of the product that forgets an #include is found; ccache would read the 100 MB of it for each file.
if(CCACHE)
  set(LATCHKEY_PRECOMPILED OFF)
endif()
if(LATCHKEY_PRECOMPILED AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 then warns of copies in std::string that are never made.
  target_compile_options(latchkey_flags INTERFACE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endif()

# precompiled TARGET HEADER OWNER: OWNER's HEADER, read once, for TARGET as well; what has it must be compiled with the same options.
function(precompiled target header owner)
  if(LATCHKEY_PRECOMPILED STREQUAL "TESTS" AND NOT owner MATCHES "_test$")
    return()
  endif()
  if(LATCHKEY_PRECOMPILED AND target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/${header})
  elseif(LATCHKEY_PRECOMPILED)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

# A folder of ours as a library: its sources are what lies in it (but for mains).
function(latchkey_library name)
  cmake_parse_arguments(arg "" "" "EXCLUDE;LINK;PRIVATE_LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(file ${arg_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX "/${file}$")
  endforeach()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC latchkey_flags ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})
  precompiled(${name} precompiled.h latchkey_base)
endfunction()
