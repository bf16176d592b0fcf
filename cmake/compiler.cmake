# Warnings are errors on our own targets only: everything goes through the interface target
# `stepdb_flags`, which third-party code never links.
add_library(stepdb_flags INTERFACE)
target_include_directories(stepdb_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(stepdb_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wcast-qual -Wformat=2
    -Wdouble-promotion -Wundef -Wimplicit-fallthrough -Wextra-semi -Werror
    -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # -Wno-restrict: g++ 12 reports `"x" + string` at -O2 (gcc bug 105651).
    # -Wno-tsan: Asio's fences under -fsanitize=thread.
    target_compile_options(stepdb_flags INTERFACE
        -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wsuggest-override
        -Wno-restrict)
    if(STEPDB_SANITIZE)
        # False reports in libstdc++'s <regex>.
        target_compile_options(stepdb_flags INTERFACE -Wno-maybe-uninitialized)
    endif()
    if(STEPDB_SANITIZE STREQUAL "thread")
        target_compile_options(stepdb_flags INTERFACE -Wno-tsan)
    endif()
    if(CMAKE_UNITY_BUILD)
        # Coroutines with lambdas and types of an unnamed namespace: the file looks like a header here.
        target_compile_options(stepdb_flags INTERFACE -Wno-subobject-linkage)
    endif()
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # What clang-tidy is told as well: two warnings that see more in clang than in g++.
    target_compile_options(stepdb_flags INTERFACE
        -Wno-unknown-warning-option -Wno-error=double-promotion -Wno-error=string-plus-int)
endif()
# Numbers must be the same on every machine: no fused multiply-add behind our back, no fast-math.
target_compile_options(stepdb_flags INTERFACE -ffp-contract=off)
target_compile_definitions(stepdb_flags INTERFACE
    $<$<CONFIG:Debug>:STEPDB_DCHECK=1 _GLIBCXX_ASSERTIONS>)

if(STEPDB_SANITIZE)
    # Everywhere, third-party static code included, else the runtimes disagree.
    add_compile_options(-fsanitize=${STEPDB_SANITIZE} -fno-sanitize-recover=all -g1)
    add_link_options(-fsanitize=${STEPDB_SANITIZE})
    if(STEPDB_SANITIZE STREQUAL "address,undefined")
        # ASan ends at an access through a null pointer by itself; UBSan's own check of it before every
        # access to a member is a fifth of the time to compile.
        add_compile_options(-fno-sanitize=null)
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            # What describes each place that UBSan checks is 70 MB of data in `stepdb`, which every process
            # maps, registers and searches for leaks. A trap needs none: ASan tells its file, line and
            # stack (handle_sigill=1, which tools/test sets), though not in words what was wrong there.
            add_compile_options(-fsanitize-undefined-trap-on-error)
        endif()
    endif()
    if(STEPDB_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # What describes globals and checks is 70 MB of `stepdb` full of addresses. Where they are fixed,
        # none is relocated at start: 100 ms instead of 180, and the tests start thousands of processes.
        add_link_options(-no-pie)
    endif()
endif()

if(STEPDB_FUZZ)
    # Coverage in all of our code; tests/fuzz links the fuzzer itself. clang 14 cannot assemble
    # coroutines with the check of function pointers' types.
    add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize=function)
endif()

find_program(STEPDB_CCACHE ccache)
if(STEPDB_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${STEPDB_CCACHE})
endif()
find_program(STEPDB_MOLD mold)
if(STEPDB_MOLD)
    add_link_options(-fuse-ld=mold)
endif()
