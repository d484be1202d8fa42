// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shmsnoop.h"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"

#include "shmsnoop.skel.h"

namespace
{

using namespace corebox;
using P = decltype(shmsnoop_bpf::progs);

struct Options : shmsnoop_config {
    std::string_view name;
};

struct Row {
    task_info task{};
    shm_event event{};
    std::string ret, flags, args;

    bool is(shm_call call) const { return event.call == call; }
    int error() const { return event.ret < 0 && event.ret >= -4095 ? int(-event.ret) : 0; }
    bool has_id() const { return is(CALL_SHMAT) || is(CALL_SHMCTL); }
    bool has_address() const { return is(CALL_SHMAT) || is(CALL_SHMDT); }
    bool has_flags() const { return is(CALL_SHMGET) || is(CALL_SHMAT); }
};

constexpr Example kExamples[] = {
    {"shmsnoop", "Trace all System V shared memory calls"},
    {"shmsnoop -x -n postgres", "Trace failed calls of a database"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print seconds since the first event"),
    flag<&Options::failed>('x', "failed", "Trace only failed calls"),
    opt<&Options::name>('n', "name", "TEXT", "Trace only commands whose name contains TEXT"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'d', "duration"}};

constexpr std::string_view kCalls[SHM_CALLS] = {"SHMGET", "SHMAT", "SHMDT", "SHMCTL"};

constexpr auto kSystemCall = [](const Row& r) { return Trusted{kCalls[r.event.call]}; };

// The numbers are those of linux/shm.h and linux/ipc.h, the same on all of our architectures.
struct Bit {
    std::uint32_t bit;
    std::string_view name;
};
constexpr Bit kGetBits[] = {
    {01000, "IPC_CREAT"}, {02000, "IPC_EXCL"}, {04000, "SHM_HUGETLB"}, {010000, "SHM_NORESERVE"}};
constexpr Bit kAttachBits[] = {
    {010000, "SHM_RDONLY"}, {020000, "SHM_RND"}, {040000, "SHM_REMAP"}, {0100000, "SHM_EXEC"}};
constexpr std::uint32_t kHugeTlb = 04000, kHugeShift = 26, kHugeMask = 0x3f;

std::string octal(std::uint32_t n)
{
    char digits[16];
    return {digits, std::to_chars(digits, digits + sizeof digits, n, 8).ptr};
}

// The page size that shmget's flags ask for is a number, the logarithm, not a set of bits.
std::string huge_page_size(unsigned log2)
{
    constexpr std::string_view kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    return cat("SHM_HUGE_", 1u << log2 % 10, kUnits[log2 / 10]);
}

std::string flag_names(shm_call call, std::uint32_t flags)
{
    std::string out;
    const auto add = [&](const std::string& name) { out += cat(out.empty() ? "" : "|", name); };
    const auto take = [&](std::span<const Bit> bits) {
        for (const Bit& bit : bits)
            if (flags & bit.bit) {
                add(std::string(bit.name));
                flags &= ~bit.bit;
            }
    };
    if (call == CALL_SHMAT) {
        take(kAttachBits);
        if (flags)
            add(to_hex(flags));
        return out;
    }
    const bool huge = flags & kHugeTlb;
    take(kGetBits);
    if (const unsigned log2 = flags >> kHugeShift & kHugeMask; huge && log2) {
        add(huge_page_size(log2));
        flags &= ~(kHugeMask << kHugeShift);
    }
    if (flags & 0777)
        add(cat("0", octal(flags & 0777)));
    if (flags &= ~0777u)
        add(to_hex(flags));
    return out;
}

// Without IPC_64, which the C libraries of some architectures add to it.
std::uint32_t command(const Row& r) { return std::uint32_t(r.event.a[1]) & ~0x100u; }

std::string_view command_name(std::uint32_t command)
{
    switch (command) {
    case 0:
        return "IPC_RMID";
    case 1:
        return "IPC_SET";
    case 2:
        return "IPC_STAT";
    case 3:
        return "IPC_INFO";
    case 11:
        return "SHM_LOCK";
    case 12:
        return "SHM_UNLOCK";
    case 13:
        return "SHM_STAT";
    case 14:
        return "SHM_INFO";
    case 15:
        return "SHM_STAT_ANY";
    default:
        return {};
    }
}

std::string arguments(const Row& r)
{
    const auto& a = r.event.a;
    const std::string flags = r.flags.empty() ? "" : cat(" (", r.flags, ")");
    switch (r.event.call) {
    case CALL_SHMGET:
        return cat("key: ", to_hex(std::uint32_t(a[0])), ", size: ", a[1],
                   ", shmflg: ", to_hex(std::uint32_t(a[2])), flags);
    case CALL_SHMAT:
        return cat("shmid: ", to_hex(std::uint32_t(a[0])), ", shmaddr: ", to_hex(a[1]),
                   ", shmflg: ", to_hex(std::uint32_t(a[2])), flags);
    case CALL_SHMDT:
        return cat("shmaddr: ", to_hex(a[0]));
    default: {
        const std::string_view name = command_name(command(r));
        return cat("shmid: ", to_hex(std::uint32_t(a[0])), ", cmd: ", std::uint32_t(a[1]),
                   name.empty() ? "" : cat(" (", name, ")"), ", buf: ", to_hex(a[2]));
    }
    }
}

constexpr Formula kCall = field<&shm_event::call>;
constexpr Formula kRet = field<&shm_event::ret>;
constexpr Formula kFailed = kRet < 0 && !(kRet < -4095);
constexpr Formula kHasId = kCall == CALL_SHMAT || kCall == CALL_SHMCTL;
constexpr Formula kHasAddress = kCall == CALL_SHMAT || kCall == CALL_SHMDT;
constexpr Formula kHasFlags = kCall == CALL_SHMGET || kCall == CALL_SHMAT;
template <std::size_t I>
constexpr Formula kArg = element<&shm_event::a, I>;

constexpr Column kColumns[] = {
    since_column<&Row::task>(with("timestamp")),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::pid>("pid", "PID", 6, "Process ID", without("tid")),
    col<&Row::task, &task_info::tid>("tid", "TID", 6, "Thread ID", with("tid")),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<kSystemCall>("call", "SYS", 6, "SHMGET, SHMAT, SHMDT or SHMCTL")
        .from_names<kCall, kCalls>(),
    col<[](const Row& r) { return Trusted{r.ret}; }>(
        "result", "RET", 16, "Return value in hexadecimal, or the name of the errno"),
    col<[](const Row& r) { return r.error() ? Value() : Value(r.event.ret); }>(
        "ret", "RETURN", 16, "Return value, null on failure", kJsonOnly)
        .from<present(!kFailed, kRet)>(),
    col<[](const Row& r) { return r.error(); }>("err", "ERR", 4, "errno, 0 on success", kJsonOnly)
        .from<select(kFailed, -kRet, 0)>(),
    col<[](const Row& r) { return Errno{r.error()}; }>("error", "ERROR", 8, "Name of the errno",
                                                       kJsonOnly),
    col<[](const Row& r) {
        return r.is(CALL_SHMGET) ? Value(std::uint32_t(r.event.a[0])) : Value();
    }>("key", "KEY", 10, "Key of shmget", kJsonOnly)
        .from<present(kCall == CALL_SHMGET, as_unsigned(kArg<0>))>(),
    col<[](const Row& r) { return r.is(CALL_SHMGET) ? Value(r.event.a[1]) : Value(); }>(
        "bytes", "SIZE", 10, "Size requested by shmget", kJsonOnly)
        .from<present(kCall == CALL_SHMGET, kArg<1>)>(),
    col<[](const Row& r) { return r.has_id() ? Value(std::int32_t(r.event.a[0])) : Value(); }>(
        "shmid", "SHMID", 8, "Segment that shmat and shmctl refer to", kJsonOnly)
        .from<present(kHasId, as_int(kArg<0>))>(),
    col<[](const Row& r) {
        return r.has_address() ? Value(r.event.a[r.is(CALL_SHMAT) ? 1 : 0]) : Value();
    }>("addr", "ADDR", 16, "Address requested by shmat, or given to shmdt", kJsonOnly)
        .from<present(kHasAddress, select(kCall == CALL_SHMAT, kArg<1>, kArg<0>))>(),
    col<[](const Row& r) { return r.has_flags() ? Value(std::uint32_t(r.event.a[2])) : Value(); }>(
        "flags", "FLAGS", 10, "Flags of shmget and shmat", kJsonOnly)
        .from<present(kHasFlags, as_unsigned(kArg<2>))>(),
    col<[](const Row& r) { return r.has_flags() ? Value(Trusted{r.flags}) : Value(); }>(
        "flag_names", "FLAGS", 10, "The same as names", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return r.is(CALL_SHMCTL) ? Value(command(r)) : Value(); }>(
        "cmd", "CMD", 4, "Command of shmctl", kJsonOnly)
        .from<present(kCall == CALL_SHMCTL, as_unsigned(kArg<1>) & ~0x100u)>(),
    col<[](const Row& r) {
        const auto name = r.is(CALL_SHMCTL) ? command_name(command(r)) : "";
        return name.empty() ? Value() : Value(Trusted{name});
    }>("cmd_name", "CMD", 12, "The same as names", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return Trusted{r.args}; }>("args", "ARGs", 0, "Arguments of the call"),
};

constexpr Need kNeeds[] = {
    {.what = "shared memory calls as they return",
     .rungs = {rung<&P::fexit_shmget, &P::fexit_shmat, &P::fexit_shmdt, &P::fexit_shmctl>(
                   "fexit", "calls of 32-bit programs"),
               rung<&P::enter_shmget, &P::exit_shmget, &P::enter_shmat, &P::exit_shmat,
                    &P::enter_shmdt, &P::exit_shmdt, &P::enter_shmctl, &P::exit_shmctl>(
                   "tracepoint", "calls of 32-bit programs")}},
};

bool decode(Row& row, const Options& options, const void* record, std::size_t)
{
    row.event = *static_cast<const shm_event*>(record);
    if (c_str(row.event.task.comm).find(options.name) == std::string_view::npos)
        return false;
    row.task = row.event.task;
    row.ret =
        row.error() ? errno_name(row.error()) : to_hex(std::uint64_t(row.event.ret)).substr(2);
    row.flags =
        row.has_flags() ? flag_names(shm_call(row.event.call), std::uint32_t(row.event.a[2])) : "";
    row.args = arguments(row);
    return true;
}

constexpr Stream<shmsnoop_bpf, Options, Row> kTool{
    .about = {.name = "shmsnoop",
              .area = "process",
              .summary = "Trace System V shared memory calls",
              .details = "Prints one line for each shmget(2), shmat(2), shmdt(2) and shmctl(2) "
                         "when it returns, with its arguments.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
