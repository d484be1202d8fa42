// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "mountsnoop.h"
#include "output/escape.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <array>

#include "mountsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(mountsnoop_bpf::progs);

// A name of some bits: those of `mask` that are `value`. Tables end with an empty name.
struct Bits {
    std::uint64_t mask, value;
    std::string_view name;
};

constexpr Bits bit(std::uint64_t value, std::string_view name) { return {value, value, name}; }

// linux/mount.h and linux/fcntl.h; numbers, since the build's headers may be older than the kernel.
constexpr Bits kMountFlags[] = {{0xffff0000, 0xc0ed0000, "MS_MGC_VAL"},
                                bit(0x1, "MS_RDONLY"),
                                bit(0x2, "MS_NOSUID"),
                                bit(0x4, "MS_NODEV"),
                                bit(0x8, "MS_NOEXEC"),
                                bit(0x10, "MS_SYNCHRONOUS"),
                                bit(0x20, "MS_REMOUNT"),
                                bit(0x40, "MS_MANDLOCK"),
                                bit(0x80, "MS_DIRSYNC"),
                                bit(0x100, "MS_NOSYMFOLLOW"),
                                bit(0x400, "MS_NOATIME"),
                                bit(0x800, "MS_NODIRATIME"),
                                bit(0x1000, "MS_BIND"),
                                bit(0x2000, "MS_MOVE"),
                                bit(0x4000, "MS_REC"),
                                bit(0x8000, "MS_SILENT"),
                                bit(0x10000, "MS_POSIXACL"),
                                bit(0x20000, "MS_UNBINDABLE"),
                                bit(0x40000, "MS_PRIVATE"),
                                bit(0x80000, "MS_SLAVE"),
                                bit(0x100000, "MS_SHARED"),
                                bit(0x200000, "MS_RELATIME"),
                                bit(0x400000, "MS_KERNMOUNT"),
                                bit(0x800000, "MS_I_VERSION"),
                                bit(0x1000000, "MS_STRICTATIME"),
                                bit(0x2000000, "MS_LAZYTIME"),
                                {}};
constexpr Bits kUmountFlags[] = {bit(0x1, "MNT_FORCE"),
                                 bit(0x2, "MNT_DETACH"),
                                 bit(0x4, "MNT_EXPIRE"),
                                 bit(0x8, "UMOUNT_NOFOLLOW"),
                                 {}};
constexpr Bits kFsopenFlags[] = {bit(0x1, "FSOPEN_CLOEXEC"), {}};
constexpr Bits kFsmountFlags[] = {bit(0x1, "FSMOUNT_CLOEXEC"), bit(0x2, "FSMOUNT_NAMESPACE"), {}};
constexpr Bits kFspickFlags[] = {bit(0x1, "FSPICK_CLOEXEC"),
                                 bit(0x2, "FSPICK_SYMLINK_NOFOLLOW"),
                                 bit(0x4, "FSPICK_NO_AUTOMOUNT"),
                                 bit(0x8, "FSPICK_EMPTY_PATH"),
                                 {}};
constexpr Bits kMoveFlags[] = {bit(0x1, "MOVE_MOUNT_F_SYMLINKS"),
                               bit(0x2, "MOVE_MOUNT_F_AUTOMOUNTS"),
                               bit(0x4, "MOVE_MOUNT_F_EMPTY_PATH"),
                               bit(0x10, "MOVE_MOUNT_T_SYMLINKS"),
                               bit(0x20, "MOVE_MOUNT_T_AUTOMOUNTS"),
                               bit(0x40, "MOVE_MOUNT_T_EMPTY_PATH"),
                               bit(0x100, "MOVE_MOUNT_SET_GROUP"),
                               bit(0x200, "MOVE_MOUNT_BENEATH"),
                               {}};
// Of open_tree(), mount_setattr() and open_tree_attr().
constexpr Bits kTreeFlags[] = {bit(0x1, "OPEN_TREE_CLONE"),       bit(0x2, "OPEN_TREE_NAMESPACE"),
                               bit(0x80000, "OPEN_TREE_CLOEXEC"), bit(0x100, "AT_SYMLINK_NOFOLLOW"),
                               bit(0x800, "AT_NO_AUTOMOUNT"),     bit(0x1000, "AT_EMPTY_PATH"),
                               bit(0x8000, "AT_RECURSIVE"),       {}};
constexpr Bits kAttributes[] = {bit(0x1, "MOUNT_ATTR_RDONLY"),
                                bit(0x2, "MOUNT_ATTR_NOSUID"),
                                bit(0x4, "MOUNT_ATTR_NODEV"),
                                bit(0x8, "MOUNT_ATTR_NOEXEC"),
                                {0x70, 0x10, "MOUNT_ATTR_NOATIME"},
                                {0x70, 0x20, "MOUNT_ATTR_STRICTATIME"},
                                {0x70, 0x70, "MOUNT_ATTR__ATIME"},
                                bit(0x80, "MOUNT_ATTR_NODIRATIME"),
                                bit(0x100000, "MOUNT_ATTR_IDMAP"),
                                bit(0x200000, "MOUNT_ATTR_NOSYMFOLLOW"),
                                {}};
constexpr std::string_view kCommands[] = {
    "FSCONFIG_SET_FLAG",   "FSCONFIG_SET_STRING",      "FSCONFIG_SET_BINARY",
    "FSCONFIG_SET_PATH",   "FSCONFIG_SET_PATH_EMPTY",  "FSCONFIG_SET_FD",
    "FSCONFIG_CMD_CREATE", "FSCONFIG_CMD_RECONFIGURE", "FSCONFIG_CMD_CREATE_EXCL"};

// What a JSON column holds.
enum class Role : std::uint8_t {
    source,
    target,
    fs,
    flags,
    data,
    fd,
    to_fd,
    command,
    key,
    value,
    aux,
    attributes,
    cleared,
    propagation,
    user_ns,
    size
};
constexpr std::size_t kRoles = std::size_t(Role::size);

enum class Kind : std::uint8_t { text, bits, fd, command, number, attributes };

// An argument of a call.
struct Field {
    std::string_view label; // of --detailed
    Role role{};
    Kind kind{};
    std::uint8_t arg = 0;
    const Bits* bits = nullptr;
    std::uint8_t text = 0; // its number among the texts
};

struct Call {
    std::string_view name, op;
    std::array<Field, 5> fields; // in the order of --detailed; an empty label ends them
};

using enum Role;
constexpr Call kCalls[MOUNT_CALLS] = {
    {"mount",
     "MOUNT",
     {{{"FS", fs, Kind::text, 2, nullptr, 2},
       {"SOURCE", source, Kind::text, 0, nullptr, 0},
       {"TARGET", target, Kind::text, 1, nullptr, 1},
       {"DATA", data, Kind::text, 4, nullptr, 3},
       {"FLAGS", flags, Kind::bits, 3, kMountFlags}}}},
    {"umount",
     "UMOUNT",
     {{{"TARGET", target, Kind::text, 0}, {"FLAGS", flags, Kind::bits, 1, kUmountFlags}}}},
    {"fsopen",
     "FSOPEN",
     {{{"FS", fs, Kind::text, 0}, {"FLAGS", flags, Kind::bits, 1, kFsopenFlags}}}},
    {"fsconfig",
     "FSCONFIG",
     {{{"FD", fd, Kind::fd, 0},
       {"CMD", command, Kind::command, 1},
       {"KEY", key, Kind::text, 2, nullptr, 0},
       {"VALUE", value, Kind::text, 3, nullptr, 1},
       {"AUX", aux, Kind::number, 4}}}},
    {"fsmount",
     "FSMOUNT",
     {{{"FS_FD", fd, Kind::fd, 0},
       {"FLAGS", flags, Kind::bits, 1, kFsmountFlags},
       {"ATTR_FLAGS", Role::attributes, Kind::bits, 2, kAttributes}}}},
    {"move_mount",
     "MOVE_MOUNT",
     {{{"FROM_DFD", fd, Kind::fd, 0},
       {"FROM_PATHNAME", source, Kind::text, 1, nullptr, 0},
       {"TO_DFD", to_fd, Kind::fd, 2},
       {"TO_PATHNAME", target, Kind::text, 3, nullptr, 1},
       {"FLAGS", flags, Kind::bits, 4, kMoveFlags}}}},
    {"fspick",
     "FSPICK",
     {{{"DFD", fd, Kind::fd, 0},
       {"PATH", target, Kind::text, 1},
       {"FLAGS", flags, Kind::bits, 2, kFspickFlags}}}},
    {"open_tree",
     "OPEN_TREE",
     {{{"DFD", fd, Kind::fd, 0},
       {"PATH", target, Kind::text, 1},
       {"FLAGS", flags, Kind::bits, 2, kTreeFlags}}}},
    {"mount_setattr",
     "MOUNT_SETATTR",
     {{{"DFD", fd, Kind::fd, 0},
       {"PATH", target, Kind::text, 1},
       {"FLAGS", flags, Kind::bits, 2, kTreeFlags},
       {"ATTR", Role::attributes, Kind::attributes, 3},
       {"SIZE", aux, Kind::number, 4}}}},
    {"open_tree_attr",
     "OPEN_TREE_ATTR",
     {{{"DFD", fd, Kind::fd, 0},
       {"PATH", target, Kind::text, 1},
       {"FLAGS", flags, Kind::bits, 2, kTreeFlags},
       {"ATTR", Role::attributes, Kind::attributes, 3},
       {"SIZE", aux, Kind::number, 4}}}},
    {"pivot_root",
     "PIVOT_ROOT",
     {{{"NEW_ROOT", source, Kind::text, 0, nullptr, 0},
       {"PUT_OLD", target, Kind::text, 1, nullptr, 1}}}},
};

struct Options {
    bool json = false;
};

struct Row {
    task_info task{};
    std::uint32_t ppid = 0, mntns = 0;
    char pcomm[COMM_LEN] = {};
    std::uint64_t duration_ns = 0;
    int ret = 0;
    const Call* call = nullptr;
    std::string line; // the call as text
    Value shown;      // the same, as this run's format wants it
    std::array<Value, kRoles> roles;
    std::array<std::string, kRoles> memory; // of what `roles` shows
    std::array<std::string, 5> printed;     // the fields as the call's text has them
};

constexpr Example kExamples[] = {
    {"mountsnoop -d", "Print one field per line"},
    {"mountsnoop -P -- unshare -m true", "Trace the mount calls of a new mount namespace"},
};

constexpr Option kOptions[] = {
    show('t', "timestamp", "Print the time of the call"),
    show('P', "parent-process", "Print the name and ID of the parent process"),
    show('d', "detailed", "Print one field per line"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr auto kOps = [] {
    std::array<std::string_view, MOUNT_CALLS> names;
    for (std::size_t i = 0; i < names.size(); i++)
        names[i] = kCalls[i].op;
    return names;
}();

template <Role R>
consteval Column role(std::string_view key, std::string_view header, std::string_view help)
{
    constexpr bool kIsNumber = R == fd || R == to_fd || R == aux || R == user_ns;
    return col<[](const Row& r) -> Value { return r.roles[std::size_t(R)]; }>(key, header, 16, help,
                                                                              kJsonOnly)
        .as(kIsNumber ? ColumnType::integer : ColumnType::text);
}

constexpr Formula kRet = field<&mount_event::ret>;

constexpr Column kColumns[] = {
    time_column<&Row::task>(with("timestamp")),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID"),
    col<&Row::pcomm>("pcomm", "PCOMM", 16, "Command name of the parent", with("parent-process"))
        .from<field<&mount_event::pcomm>>(),
    col<&Row::ppid>("ppid", "PPID", 7, "Parent process ID", with("parent-process"))
        .from<field<&mount_event::ppid>>(),
    col<&Row::mntns>("mnt_ns", "MNT_NS", 11, "Number of the mount namespace")
        .from<field<&mount_event::mntns>>(),
    col<[](const Row& r) -> Value { return Trusted{r.call->op}; }>("op", "OP", 14,
                                                                   "Name of the call", kJsonOnly)
        .from_names<field<&mount_event::call>, kOps>(),
    col<&Row::ret>("ret", "RET", 4, "Return value of the call", kJsonOnly).from<kRet>(),
    col<[](const Row& r) -> Value { return Errno{r.ret < 0 ? -r.ret : 0}; }>(
        "error", "ERROR", 8, "Name of the errno", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return Fixed{r.duration_ns, 3};
    }>("lat_us", "LAT(us)", 10, "Duration of the call in microseconds", kJsonOnly)
        .from<fixed(field<&mount_event::duration_ns>, 3)>(),
    role<source>("source", "SOURCE", "Source of the mount or move; for pivot_root the new root"),
    role<target>("target", "TARGET", "Target; for pivot_root the new place of the old root"),
    role<fs>("fs", "FS", "Type of the file system"),
    role<flags>("flags", "FLAGS", "Names of the flags, unknown ones in hexadecimal"),
    role<data>("data", "DATA", "Data of mount(2)"),
    role<fd>("fd", "FD", "File descriptor, -100 is AT_FDCWD"),
    role<to_fd>("to_fd", "TO_FD", "Descriptor of the target of a move"),
    role<command>("cmd", "CMD", "Command of fsconfig(2)"),
    role<key>("key", "KEY", "Key of fsconfig(2)"),
    role<value>("value", "VALUE", "Value of fsconfig(2)"),
    role<aux>("aux", "AUX",
              "Last argument of fsconfig(2); for other calls the size of the attributes"),
    role<Role::attributes>("attr", "ATTR", "Mount attributes that are set"),
    role<cleared>("attr_clr", "ATTR_CLR", "Mount attributes that are cleared"),
    role<propagation>("propagation", "PROPAGATION", "Propagation that is set"),
    role<user_ns>("userns_fd", "USERNS_FD", "User namespace of an ID-mapped mount"),
    col<&Row::shown>("call", "CALL", 0, "Call with its arguments and result").as(ColumnType::text),
};

template <auto Fentry, auto Fexit, auto Enter, auto Leave>
constexpr Need call(std::string_view what)
{
    return {.what = what,
            .rungs = {rung<&P::calls_session>("session"), rung<Fentry, Fexit>("fexit"),
                      rung<Enter, Leave>("tracepoint")}};
}

// Calls that this kernel may not have.
constexpr Need newer(Need need)
{
    need.optional = true;
    need.without = need.what;
    return need;
}

// A call that is newer (6.15) than sessions, which attach to what there is of their functions.
constexpr Need newest(Need need)
{
    need.rungs[0].obstacle = [](const Facts& facts) -> Obstacle {
        if (facts.has(Facts::Name::tracepoint, "syscalls/sys_enter_open_tree_attr") == Answer::no)
            return {Cause::no_system_call, "open_tree_attr"};
        return {};
    };
    return need;
}

constexpr Need kNeeds[] = {
    call<&P::mount_fentry, &P::mount_fexit, &P::mount_enter, &P::mount_leave>("mount"),
    call<&P::umount_fentry, &P::umount_fexit, &P::umount_enter, &P::umount_leave>("umount"),
    newer(call<&P::fsopen_fentry, &P::fsopen_fexit, &P::fsopen_enter, &P::fsopen_leave>("fsopen")),
    newer(
        call<&P::fsconf_fentry, &P::fsconf_fexit, &P::fsconf_enter, &P::fsconf_leave>("fsconfig")),
    newer(call<&P::fsmount_fentry, &P::fsmount_fexit, &P::fsmount_enter, &P::fsmount_leave>(
        "fsmount")),
    newer(call<&P::move_fentry, &P::move_fexit, &P::move_enter, &P::move_leave>("move_mount")),
    newer(call<&P::fspick_fentry, &P::fspick_fexit, &P::fspick_enter, &P::fspick_leave>("fspick")),
    newer(call<&P::tree_fentry, &P::tree_fexit, &P::tree_enter, &P::tree_leave>("open_tree")),
    newer(call<&P::setattr_fentry, &P::setattr_fexit, &P::setattr_enter, &P::setattr_leave>(
        "mount_setattr")),
    newest(newer(call<&P::treeatt_fentry, &P::treeatt_fexit, &P::treeatt_enter, &P::treeatt_leave>(
        "open_tree_attr"))),
    call<&P::pivot_fentry, &P::pivot_fexit, &P::pivot_enter, &P::pivot_leave>("pivot_root"),
};

// "MS_BIND|MS_REC|0x40000000"; "0" for none.
void put_bits(std::string& out, std::uint64_t n, const Bits* table)
{
    const std::size_t start = out.size();
    const auto next = [&] {
        if (out.size() != start)
            out += '|';
    };
    for (; !table->name.empty(); table++) {
        if ((n & table->mask) != table->value)
            continue;
        next();
        out += table->name;
        n &= ~table->mask;
    }
    if (n != 0) {
        next();
        out += to_hex(n);
    } else if (out.size() == start) {
        out += '0';
    }
}

// One of the call's texts; nothing where it has none, or none that could be read.
std::optional<std::string_view> text_of(const mount_event& e, unsigned number)
{
    std::size_t at = 0;
    for (unsigned i = 0; i < number; i++)
        at += std::size_t(std::max<int>(e.text_len[i], 0));
    const int length = e.text_len[number];
    if (length < 0)
        return std::nullopt;
    return std::string_view(e.data + at, std::size_t(length));
}

// Fills what JSON has of a field, and how the call's text has it.
void fill(Row& row, const mount_event& e, const Field& f, std::string& printed)
{
    const auto n = std::size_t(f.role);
    const std::uint64_t arg = e.args[f.arg];
    Value& value = row.roles[n];
    std::string& memory = row.memory[n];
    printed.clear();
    memory.clear();
    switch (f.kind) {
    case Kind::text: {
        if (const auto text = text_of(e, f.text)) {
            escape_quoted(printed, *text, false);
            value = *text;
        } else if (arg == 0) {
            printed = "NULL";
        } else {
            printed += to_hex(arg); // memory that is not there, or of a type without text
        }
        break;
    }
    case Kind::bits:
        put_bits(printed, std::uint32_t(arg), f.bits);
        memory = printed;
        value = Trusted{memory};
        break;
    case Kind::fd:
        printed = int(arg) == -100 ? "AT_FDCWD" : cat(int(arg));
        value = int(arg);
        break;
    case Kind::command:
        if (arg < std::size(kCommands))
            printed = kCommands[arg];
        else
            printed += to_hex(arg);
        memory = printed;
        value = Trusted{memory};
        break;
    case Kind::number:
        printed = cat(int(arg));
        value = int(arg);
        break;
    case Kind::attributes:
        if (!e.has_attr) {
            printed += to_hex(arg);
            break;
        }
        put_bits(memory, e.attr[0], kAttributes);
        value = Trusted{memory};
        std::string& clear = row.memory[std::size_t(cleared)];
        std::string& spread = row.memory[std::size_t(propagation)];
        clear.clear();
        spread.clear();
        put_bits(clear, e.attr[1], kAttributes);
        put_bits(spread, e.attr[2], kMountFlags);
        row.roles[std::size_t(cleared)] = Trusted{clear};
        row.roles[std::size_t(propagation)] = Trusted{spread};
        row.roles[std::size_t(user_ns)] = e.attr[3];
        printed = cat("{set=", memory, ", clr=", clear, ", propagation=", spread,
                      ", userns_fd=", e.attr[3], '}');
        break;
    }
}

bool decode(Row& row, const Options& options, const void* record, std::size_t)
{
    const auto& e = *static_cast<const mount_event*>(record);
    row.task = e.task;
    row.ppid = e.ppid;
    row.mntns = e.mntns;
    std::copy(std::begin(e.pcomm), std::end(e.pcomm), row.pcomm);
    row.duration_ns = e.duration_ns;
    row.ret = e.ret;
    row.call = &kCalls[e.call];
    row.roles.fill(Absent{});
    std::array<const std::string*, 5> args{};
    for (std::size_t i = 0; i < row.call->fields.size(); i++) {
        const Field& f = row.call->fields[i];
        if (f.label.empty())
            break;
        fill(row, e, f, row.printed[i]);
        args[f.arg] = &row.printed[i];
    }
    row.line = row.call->name;
    row.line += '(';
    for (std::size_t i = 0; i < args.size() && args[i]; i++) {
        row.line += i ? ", " : "";
        row.line += *args[i];
    }
    row.line += ") = ";
    row.line += e.ret < 0 ? cat('-', errno_name(-e.ret)) : cat(e.ret);
    // Text has it as it is; JSON escapes what the text has escaped.
    row.shown = options.json ? Value(std::string_view(row.line)) : Value(Trusted{row.line});
    return true;
}

void setup(mountsnoop_bpf&, Options& options, const Session& session)
{
    options.json = session.format == Format::json;
}

// --detailed: a block of lines a call.
bool detailed(Output& output, const void* data_, const Session& session)
{
    if (session.format != Format::text || !session.given("detailed") || session.given("columns"))
        return false;
    if (!data_)
        return true;
    const Row& row = *static_cast<const Row*>(data_);
    std::string& out = output.text();
    const auto label = [&](std::string_view name) {
        out += name;
        out += ": ";
    };
    const auto line = [&](std::string_view name, const Value& v) {
        label(name);
        output.cell(v);
        out += '\n';
    };
    if (session.given("timestamp"))
        line("TIME", WallTime{row.task.time_ns});
    line("PID", row.task.pid);
    line("TID", row.task.tid);
    line("COMM", row.task.comm);
    if (session.given("parent-process")) {
        line("PCOMM", row.pcomm);
        line("PPID", row.ppid);
    }
    line("OP", Trusted{row.call->op});
    line("RET", row.ret < 0 ? Value(Trusted{cat('-', errno_name(-row.ret))}) : Value(row.ret));
    line("LAT(us)", Fixed{row.duration_ns, 3});
    line("MNT_NS", row.mntns);
    for (std::size_t i = 0; i < row.call->fields.size(); i++)
        if (const auto name = row.call->fields[i].label; !name.empty())
            line(name, Trusted{row.printed[i]});
    out += '\n';
    return true;
}

constexpr Stream<mountsnoop_bpf, Options, Row> kTool{
    .about = {.name = "mountsnoop",
              .area = "file",
              .summary = "Trace mount and unmount calls",
              .details = "Prints one line for each mount(2), umount2(2) and pivot_root(2) when it "
                         "returns. Calls of the new mount API are included: fsopen, fsconfig, "
                         "fsmount, fspick, move_mount, open_tree and mount_setattr.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
    .mirror = detailed,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
