// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "signals.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace corebox
{
namespace
{

constexpr std::size_t kPrefix = 3; // of "SIG"

constexpr std::array<std::string_view, kMostSignals + 1> kNames = {
    "",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
    "SIG32",
    "SIG33",
    // As bash(1) lists them: names count from the nearer end.
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMAX-14",
    "SIGRTMAX-13",
    "SIGRTMAX-12",
    "SIGRTMAX-11",
    "SIGRTMAX-10",
    "SIGRTMAX-9",
    "SIGRTMAX-8",
    "SIGRTMAX-7",
    "SIGRTMAX-6",
    "SIGRTMAX-5",
    "SIGRTMAX-4",
    "SIGRTMAX-3",
    "SIGRTMAX-2",
    "SIGRTMAX-1",
    "SIGRTMAX",
};

struct Synonym {
    std::string_view name;
    int number;
};
constexpr Synonym kSynonyms[] = {{"SIGIOT", 6}, {"SIGCLD", 17}, {"SIGPOLL", 29}, {"SIGUNUSED", 31}};

// What the C library leaves to programs.
constexpr int kRtMin = 34, kRtMax = kMostSignals;

// Codes of any signal, downwards from SI_USER (asm-generic/siginfo.h).
constexpr std::string_view kSenders[] = {"SI_USER",    "SI_QUEUE", "SI_TIMER", "SI_MESGQ",
                                         "SI_ASYNCIO", "SI_SIGIO", "SI_TKILL", "SI_DETHREAD"};
constexpr int kSiKernel = 0x80, kSiAsyncNl = -60;

// Codes of one signal, from 1 (asm-generic/siginfo.h).
constexpr std::string_view kIll[] = {"ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR",
                                     "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG",
                                     "ILL_COPROC", "ILL_BADSTK", "ILL_BADIADDR"};
constexpr std::string_view kFpe[] = {"FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF",
                                     "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV", "FPE_FLTSUB"};
constexpr std::string_view kSegv[] = {
    "SEGV_MAPERR",  "SEGV_ACCERR",  "SEGV_BNDERR",  "SEGV_PKUERR",  "SEGV_ACCADI",
    "SEGV_ADIDERR", "SEGV_ADIPERR", "SEGV_MTEAERR", "SEGV_MTESERR", "SEGV_CPERR"};
constexpr std::string_view kBus[] = {"BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR",
                                     "BUS_MCEERR_AO"};
constexpr std::string_view kTrap[] = {"TRAP_BRKPT",  "TRAP_TRACE", "TRAP_BRANCH",
                                      "TRAP_HWBKPT", "TRAP_UNK",   "TRAP_PERF"};
constexpr std::string_view kChld[] = {"CLD_EXITED",  "CLD_KILLED",  "CLD_DUMPED",
                                      "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"};
constexpr std::string_view kPoll[] = {"POLL_IN",  "POLL_OUT", "POLL_MSG",
                                      "POLL_ERR", "POLL_PRI", "POLL_HUP"};
constexpr std::string_view kSys[] = {"SYS_SECCOMP", "SYS_USER_DISPATCH"};

std::span<const std::string_view> codes(int signal)
{
    switch (signal) {
    case 4:
        return kIll;
    case 5:
        return kTrap;
    case 7:
        return kBus;
    case 8:
        return kFpe;
    case 11:
        return kSegv;
    case 17:
        return kChld;
    case 29:
        return kPoll;
    case 31:
        return kSys;
    default:
        return {};
    }
}

} // namespace

std::string_view signal_full_name(int number)
{
    return number > 0 && number <= kMostSignals ? kNames[std::size_t(number)] : "";
}

std::string_view signal_name(int number)
{
    const std::string_view name = signal_full_name(number);
    return name.substr(std::min(name.size(), kPrefix));
}

std::optional<int> signal_number(std::string_view name)
{
    if (const auto n = to_number<int>(name))
        return *n >= 0 && *n <= kMostSignals ? n : std::nullopt;
    std::string full(name);
    std::ranges::transform(full, full.begin(), [](unsigned char c) { return std::toupper(c); });
    if (!full.starts_with("SIG"))
        full = "SIG" + full;
    if (const auto at = std::ranges::find(kNames, full); at != kNames.end())
        return int(at - kNames.begin());
    if (const auto at = std::ranges::find(kSynonyms, full, &Synonym::name);
        at != std::end(kSynonyms))
        return at->number;
    // The other half of the names that count from an end.
    const std::string_view rest = std::string_view(full).substr(kPrefix);
    const bool from_start = rest.starts_with("RTMIN+"), from_end = rest.starts_with("RTMAX-");
    const auto n = from_start || from_end ? to_number<int>(rest.substr(6)) : std::nullopt;
    if (!n || *n < 0 || *n > kRtMax - kRtMin)
        return std::nullopt;
    return from_start ? kRtMin + *n : kRtMax - *n;
}

std::string_view signal_code_name(int signal, int code)
{
    if (code == kSiKernel)
        return "SI_KERNEL";
    if (code == kSiAsyncNl)
        return "SI_ASYNCNL";
    const auto of = code > 0 ? codes(signal) : std::span<const std::string_view>(kSenders);
    const auto index = code > 0 ? std::size_t(code) - 1 : std::size_t(-std::int64_t(code));
    return index < of.size() ? of[index] : "";
}

} // namespace corebox
