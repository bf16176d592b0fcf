# add_layer(NAME SOURCES ... TESTS ... DEPENDS ... LIBRARIES ... TEST_LIBRARIES ...
#           TEST_DEFINITIONS ...)
#
# One folder, one target: the library stepdb_<NAME> from SOURCES and, from TESTS, the program
# stepdb_<NAME>_test, each of its tests known to ctest. DEPENDS are layers below (without the
# prefix), LIBRARIES third-party targets that this folder is the home of.
#
# Tests of the layers in STEPDB_THREAD_LAYERS use threads of their own: ctest knows them by the label "threads",
# and the thread sanitizer's build makes the tests of these layers alone.
set(STEPDB_THREAD_LAYERS io net client threads)

function(add_layer NAME)
    cmake_parse_arguments(LAYER "" ""
        "SOURCES;TESTS;DEPENDS;LIBRARIES;TEST_LIBRARIES;TEST_DEFINITIONS" ${ARGN})
    list(TRANSFORM LAYER_DEPENDS PREPEND stepdb_)
    if(LAYER_SOURCES)
        add_library(stepdb_${NAME} STATIC ${LAYER_SOURCES})
        target_link_libraries(stepdb_${NAME} PUBLIC ${LAYER_DEPENDS} ${LAYER_LIBRARIES})
        target_link_libraries(stepdb_${NAME} PRIVATE stepdb_flags)
    else()
        add_library(stepdb_${NAME} INTERFACE)
        target_link_libraries(stepdb_${NAME} INTERFACE ${LAYER_DEPENDS} ${LAYER_LIBRARIES})
    endif()
    set(LABEL "")
    if(NAME IN_LIST STEPDB_THREAD_LAYERS)
        set(LABEL LABELS threads)
    elseif(STEPDB_SANITIZE STREQUAL "thread")
        return()
    endif()
    if(STEPDB_TESTS AND LAYER_TESTS)
        add_executable(stepdb_${NAME}_test ${LAYER_TESTS})
        target_link_libraries(stepdb_${NAME}_test PRIVATE
            stepdb_${NAME} ${LAYER_TEST_LIBRARIES} stepdb_flags GTest::gmock_main)
        target_compile_definitions(stepdb_${NAME}_test PRIVATE ${LAYER_TEST_DEFINITIONS})
        # The compiler takes half of the time for them, or four fifths; what they call is optimised all the same.
        if(STEPDB_SANITIZE)
            target_compile_options(stepdb_${NAME}_test PRIVATE -O0)
        elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
            target_compile_options(stepdb_${NAME}_test PRIVATE -O1)
        endif()
        # A search for a loss that takes 16 s takes ten times as long with sanitizers, and more beside others.
        set(SECONDS 600)
        if(STEPDB_SANITIZE)
            set(SECONDS 1500)
        endif()
        gtest_discover_tests(stepdb_${NAME}_test TEST_PREFIX "${NAME}." DISCOVERY_TIMEOUT 60
            PROPERTIES TIMEOUT ${SECONDS} ${LABEL})
    endif()
endfunction()
