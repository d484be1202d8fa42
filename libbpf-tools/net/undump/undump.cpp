// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "undump.h"
#include "base/text.hpp"
#include "output/hexdump.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <algorithm>
#include <cstring>
#include <sys/socket.h>

#include "undump.skel.h"

namespace
{
using namespace corebox;
using P = decltype(undump_bpf::progs);

struct Options : undump_config {
    std::uint32_t most = UNDUMP_DATA_LEN;
    bool hexdump = false;
};

struct Row {
    task_info task{};
    undump_direction direction{};
    std::uint16_t type = 0;
    std::uint32_t bytes = 0, peer_pid = 0;
    bool unreadable = false, hexdump = false;
    std::string path;
    std::string_view data;
};

constexpr Example kExamples[] = {
    {"undump -p 181", "Print what process 181 sends and receives"},
    {"undump --hexdump --comm dockerd", "Print the data in hexadecimal"},
    {"undump --where 'path == \"/run/systemd/notify\"'", "Trace one socket"},
    {"undump -s 64 --where 'direction == \"recv\"'", "Print the beginning of what is read"},
};

constexpr Option kOptions[] = {
    opt<&Options::most>('s', "size", "BYTES", "Limit the data of a message (default: 8192)",
                        {0, UNDUMP_DATA_LEN}),
    flag<&Options::hexdump>(0, "hexdump", "Print data in hexadecimal, below each line"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'u', "uid"}};

constexpr std::string_view kDirections[UNDUMP_DIRECTIONS] = {"send", "recv", "peek"};

constexpr std::string_view name_type(std::uint16_t type)
{
    return type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "dgram" : "seqpacket";
}

constexpr Column kColumns[] = {
    time_column<&Row::task>({}),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID")
        .from<field<&undump_event::task, &task_info::pid>>(),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly)
        .from<field<&undump_event::task, &task_info::tid>>(),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly)
        .from<field<&undump_event::task, &task_info::uid>>(),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread")
        .from<field<&undump_event::task, &task_info::comm>>(),
    col<[](const Row& r) { return Trusted{kDirections[r.direction % UNDUMP_DIRECTIONS]}; }>(
        "direction", "DIR", 4, "send, recv, or peek: read, and left in the socket")
        .from_names<field<&undump_event::direction>, kDirections>(),
    col<[](const Row& r) { return Trusted{name_type(r.type)}; }>(
        "type", "TYPE", 9, "Type of the socket: stream, dgram or seqpacket"),
    col<[](const Row& r) -> Value { return r.peer_pid ? Value(r.peer_pid) : Value(); }>(
        "peer_pid", "PEER", 7, "Process that connected to it or listened")
        .as(ColumnType::integer),
    col<[](const Row& r) -> Value { return r.path.empty() ? Value() : std::string_view(r.path); }>(
        "path", "PATH", 24, "Name of the socket or of its peer; @: an abstract one")
        .as(ColumnType::text),
    col<&Row::bytes>("bytes", "BYTES", -6, "Bytes that the call moved; of a datagram, its size")
        .from<field<&undump_event::bytes>>(),
    col<[](const Row& r) { return std::uint32_t(r.data.size()); }>(
        "data_bytes", "SHOWN", -6, "Bytes of them that are shown", kJsonOnly),
    col<[](const Row& r) -> Value { return r.unreadable ? Value() : Value(r.data); }>(
        "data", "DATA", 0, "The data; - if it lies in no memory of a process", without("hexdump"))
        .as(ColumnType::text),
};

constexpr std::string_view kSendBlind = "sendfile(2) and splice(2) to a socket before Linux 6.5";

constexpr Need kNeeds[] = {
    {.what = "data that streams send",
     .rungs = {rung<&P::stream_send_fx>("fexit", kSendBlind),
               rung<&P::ssend_kprobe, &P::ssend_kret>("kprobe", kSendBlind)}},
    {.what = "datagrams and packets that are sent",
     .rungs = {rung<&P::dgram_send_fx>("fexit"),
               rung<&P::dsend_kprobe, &P::dsend_kret>("kprobe")}},
    {.what = "data that streams receive",
     .rungs = {rung<&P::stream_recv_fx>("fexit", "splice(2) from a socket"),
               rung<&P::srecv_kprobe, &P::srecv_kret>("kprobe", "splice(2) from a socket")}},
    {.what = "datagrams that are received",
     .rungs = {rung<&P::dgram_recv_fx>("fexit"),
               rung<&P::drecv_kprobe, &P::drecv_kret>("kprobe")}},
    {.what = "packets that are received",
     .rungs = {rung<&P::packet_recv_fx>("fexit"),
               rung<&P::precv_kprobe, &P::precv_kret>("kprobe")}},
};

// "@" for an abstract name's first 0, as ss(8) has it. A name in the file system ends with a 0.
std::string name_socket(std::string_view name)
{
    if (name.empty() || name[0])
        return std::string(name.substr(0, name.find('\0')));
    return cat("@", name.substr(1));
}

bool decode(Row& row, const Options& o, const void* record, std::size_t)
{
    const auto& e = *static_cast<const undump_event*>(record);
    row.task = e.task;
    row.direction = undump_direction(e.direction);
    row.type = e.type;
    row.bytes = e.bytes;
    row.peer_pid = e.peer_pid;
    row.unreadable = e.unreadable;
    row.hexdump = o.hexdump;
    row.path = name_socket({e.path, std::min<std::size_t>(e.path_len, sizeof e.path)});
    row.data = {e.data, e.data_len};
    return true;
}

void put_data(std::string& text, const void* row)
{
    const Row& r = *static_cast<const Row*>(row);
    if (!r.hexdump)
        return;
    put_hexdump(text, r.data);
    if (r.unreadable)
        text += "    (in no memory of a process)\n";
    else if (r.data.size() < r.bytes)
        text += cat("    (", r.bytes - r.data.size(), " more bytes)\n");
}

constexpr Stream<undump_bpf, Options, Row> kTool{
    .about = {.name = "undump",
              .area = "net",
              .summary = "Print the data that passes through UNIX sockets",
              .details = "Prints one line for each message that a process sends or receives "
                         "through a UNIX socket, with its data. Data may be secret.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
    .below = put_data,
    .prepare = [](Options& o, Session&) { o.size = o.most; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
