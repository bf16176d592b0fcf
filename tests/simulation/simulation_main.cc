// Plays worlds by their seeds, for hours: tests/simulation/run_long.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/simulation/world.h"

namespace {

// What is said if the process dies of a broken invariant or of a signal, ready to be written.
std::array<char, 64> last_words{};

void tell_and_die(int signal) {
    const size_t length = std::char_traits<char>::length(last_words.data());
    [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, last_words.data(), length);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

// On a stack of its own: a recursion without end is told, too.
void tell_of_deaths() {
    static std::array<char, 65536> stack;
    stack_t other{};
    other.ss_sp = stack.data();
    other.ss_size = stack.size();
    sigaltstack(&other, nullptr);
    struct sigaction action {};
    action.sa_handler = tell_and_die;
    action.sa_flags = SA_ONSTACK;
    for (const int signal : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV}) {
        sigaction(signal, &action, nullptr);
    }
}

}  // namespace

int main(int argc, char** argv) {
    using namespace stepdb;
    if (argc != 3) {
        std::fputs("usage: stepdb_simulation FIRST_SEED LAST_SEED\n", stderr);
        return 2;
    }
    const uint64_t first = std::strtoull(argv[1], nullptr, 10);
    const uint64_t last = std::strtoull(argv[2], nullptr, 10);
    tell_of_deaths();
    SimulationCounts counts;
    for (uint64_t seed = first; seed <= last; ++seed) {
        *fmt::format_to_n(last_words.begin(), last_words.size() - 1, "seed {}: died\n", seed).out =
            '\0';
        World world(seed);
        const std::string problem = world.run();
        counts.add(world.counts());
        if (!problem.empty()) {
            fmt::print("seed {}: {}\n", seed, problem);
            return 1;
        }
    }
    fmt::print("seeds {} to {}: {}\n", first, last, counts.to_string());
    return 0;
}
