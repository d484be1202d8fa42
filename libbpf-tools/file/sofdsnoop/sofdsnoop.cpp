// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sofdsnoop.h"
#include "file_name.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <bpf/bpf.h>

#include "sofdsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(sofdsnoop_bpf::progs);

struct Options {
    std::string_view name;
};

struct Row {
    task_info task{};
    std::string_view action;
    std::string socket;
    Value socket_fd, socket_inode, inode, name;
    int fd = 0, err = 0;
    std::string text; // memory of the name
};

constexpr Example kExamples[] = {
    {"sofdsnoop", "Trace all file descriptors passed over sockets"},
    {"sofdsnoop -T -p 181", "Trace the descriptors that process 181 sends and receives"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print seconds since the first event"),
    opt<&Options::name>('n', "name", "TEXT", "Trace only commands whose name contains TEXT"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'d', "duration"}};

constexpr Formula kSocket = field<&sofd_event::socket_fd>;
constexpr Formula kSocketInode = field<&sofd_event::socket_inode>;

constexpr std::string_view kActions[] = {"SEND", "RECV"};

constexpr Column kColumns[] = {
    since_column<&Row::task>(with("timestamp")),
    time_column<&Row::task>(kJsonOnly),
    col<[](const Row& r) { return Trusted{r.action}; }>("action", "ACTION", 6, "SEND or RECV")
        .from_names<field<&sofd_event::action>, kActions>(),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID", kJsonOnly),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID"),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) { return Trusted{r.socket}; }>(
        "socket", "SOCKET", 20, "Descriptor of the socket, -1 if not known, and its name"),
    col<&Row::socket_fd>("socket_fd", "SFD", 5, "Descriptor of the socket", kJsonOnly)
        .from<present(!(kSocket < 0), kSocket)>(),
    col<&Row::socket_inode>("socket_inode", "SINODE", 10, "Inode number of the socket", kJsonOnly)
        .from<present(kSocketInode, kSocketInode)>(),
    col<&Row::fd>("fd", "FD", 5, "Descriptor in this process; -1 if it received none")
        .from<field<&sofd_event::fd>>(),
    col<[](const Row& r) { return Errno{r.err}; }>("error", "ERROR", 8, "Name of the errno",
                                                   kJsonOnly),
    col<&Row::inode>("inode", "INODE", 10, "Inode number of the file", kJsonOnly)
        .from<present(field<&sofd_event::name, &file_name::known>,
                      field<&sofd_event::name, &file_name::inode>)>(),
    col<&Row::name>("name", "NAME", 24, "File that the descriptor refers to, ? if not known")
        .as(ColumnType::text),
    col<&Row::err>("err", "ERR", 4, "errno of sending or receiving, 0 on success")
        .from<-field<&sofd_event::ret>>(),
};

constexpr Need kNeeds[] = {
    {.what = "descriptors being sent",
     .rungs = {rung<&P::scm_fexit, &P::stream_fexit, &P::dgram_fexit>("fexit"),
               rung<&P::scm_kprobe, &P::scm_kretprobe, &P::stream_kprobe, &P::stream_kret,
                    &P::dgram_kprobe, &P::dgram_kret>("kprobe")}},
    {.what = "messages being received",
     .rungs = {rung<&P::detach_fentry, &P::detach_fexit>("fexit"),
               rung<&P::detach_kprobe, &P::detach_kret>("kprobe")}},
    // Where there are both, receive_fd() is not what is called.
    {.what = "descriptors being received",
     .rungs = {rung<&P::old_fd_fexit>("fexit"), rung<&P::fd_fexit>("fexit"),
               rung<&P::old_fd_kprobe, &P::old_fd_kret>("kprobe"),
               rung<&P::fd_kprobe, &P::fd_kretprobe>("kprobe")}},
    {.what = "sockets that io_uring receives from",
     .rungs = {rung<&P::uring_fentry, &P::uring_fexit>("fexit"),
               rung<&P::uring_kprobe, &P::uring_kretprobe>("kprobe")},
     .optional = true,
     .without = "which socket io_uring received from"},
};

bool decode(Row& row, const Options& options, const void* record, std::size_t size)
{
    const auto& e = *static_cast<const sofd_event*>(record);
    if (c_str(e.task.comm).find(options.name) == std::string_view::npos)
        return false;
    row.task = e.task;
    row.action = kActions[e.action != SOFD_SEND];
    row.socket = cat(e.socket_fd);
    if (e.socket_inode)
        row.socket += cat(":socket:[", e.socket_inode, "]");
    row.socket_fd = e.socket_fd < 0 ? Value(Absent{"-1"}) : Value(e.socket_fd);
    row.socket_inode = e.socket_inode ? Value(e.socket_inode) : Absent{};
    row.fd = e.fd;
    row.err = -e.ret;
    row.inode = e.name.known ? Value(e.name.inode) : Absent{};
    row.name = e.name.known
                   ? Value(file_name_of(e.name, static_cast<const char*>(record) + size, row.text))
                   : Absent{"?"};
    return true;
}

constexpr Stream<sofdsnoop_bpf, Options, Row> kTool{
    .about = {.name = "sofdsnoop",
              .area = "file",
              .summary = "Trace file descriptors passed over UNIX sockets",
              .details = "Prints one line for each descriptor in a message (SCM_RIGHTS) when it is "
                         "sent, and one when it is received.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
    .detached =
        [](sofdsnoop_bpf& s, Options&, Account& account) {
            // Of messages whose return was not seen the descriptors. What the kernel skipped of
            // fexit programs it has counted itself.
            if (bpf_program__autoload(s.progs.stream_kret))
                account.unreturned += of_gone_threads(s.maps.sendings, [](auto value) {
                    return *reinterpret_cast<const std::uint32_t*>(value.data());
                });
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
