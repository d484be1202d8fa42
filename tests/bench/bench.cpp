// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs inside a guest whose clock counts instructions (scripts/vm --icount): what a tool adds to
// each operation of a workload, what it costs to start, how much memory it takes and what it
// loses. Prints one JSON object a measurement; scripts/bench makes the table.
//
// usage: bench NAME WORKLOAD COUNT LABEL -- COMMAND...     measures, in a guest
//        bench --table                                     standard input's measurements as
//        Markdown
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <iterator>
#include <linux/futex.h>
#include <malloc.h>
#include <map>
#include <netdb.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <thread>
#include <time.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

// Where tracers of lines attach.
extern "C" [[gnu::noinline]] const char* readline(const char* line)
{
    asm volatile("" : "+r"(line));
    return line;
}

// As OpenSSL's in a static program. It encrypts nothing: what is measured is what tracing adds.
extern "C" int SSL_write(void* ssl, const void* data, int size);
[[gnu::noinline]] int SSL_write(void* ssl, const void* data, int size)
{
    asm volatile("" : : "r"(ssl), "r"(data) : "memory");
    return size;
}

namespace
{

constexpr const char* kOutput = "/tmp/bench.out";
constexpr const char* kErrors = "/tmp/bench.err";

[[noreturn]] void die(const std::string& what)
{
    std::fprintf(stderr, "bench: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

std::uint64_t now_ns()
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::uint64_t(t.tv_sec) * 1'000'000'000 + std::uint64_t(t.tv_nsec);
}

void sleep_ms(unsigned ms) { ::usleep(ms * 1000); }

std::string slurp(const std::string& path)
{
    std::string text;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return text;
    char block[65536];
    for (ssize_t n; (n = ::read(fd, block, sizeof block)) > 0;)
        text.append(block, std::size_t(n));
    ::close(fd);
    return text;
}

// CPU time of all threads of a process.
std::uint64_t cpu_ns(pid_t pid)
{
    clockid_t clock;
    timespec t{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return std::uint64_t(t.tv_sec) * 1'000'000'000 + std::uint64_t(t.tv_nsec);
}

std::uint64_t status_kib(pid_t pid, std::string_view key)
{
    const std::string text = slurp("/proc/" + std::to_string(pid) + "/status");
    const auto at = text.find(key);
    return at == text.npos ? 0 : std::strtoull(text.c_str() + at + key.size() + 1, nullptr, 10);
}

// Resident pages of mapped BPF maps: the event buffers' own memory.
std::uint64_t ring_kib(pid_t pid)
{
    const std::string text = slurp("/proc/" + std::to_string(pid) + "/smaps");
    std::uint64_t total = 0;
    bool ring = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const std::string_view line(text.data() + at, end - at);
        at = end + 1;
        if (line.find('-') < 17 && line.find(" r") != line.npos)
            ring = line.find("bpf") != line.npos || line.find("perf_event") != line.npos;
        else if (ring && line.starts_with("Rss:"))
            total += std::strtoull(line.data() + 4, nullptr, 10);
    }
    return total;
}

// What a workload does between two looks at the clock.
using Workload = std::function<void(unsigned count)>;

void open_missing(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (::open("/no/such/file", O_RDONLY) >= 0)
            die("open of a missing file succeeded");
}

void stat_missing(unsigned count)
{
    struct stat st {
    };
    for (unsigned i = 0; i < count; i++)
        if (::stat("/no/such/file", &st) == 0)
            die("stat of a missing file succeeded");
}

void create_and_delete(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const int fd = ::open("/tmp/bench.new", O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd < 0 || ::close(fd) != 0 || ::unlink("/tmp/bench.new") != 0)
            die("create and delete /tmp/bench.new");
    }
}

void sync_file(unsigned count)
{
    const int fd = ::open("/tmp/bench.data", O_RDWR | O_CREAT, 0644);
    for (unsigned i = 0; i < count; i++)
        if (::fsync(fd) != 0)
            die("fsync");
    ::close(fd);
}

// Whoever watches gets to run at times: what loses most of the events for want of that has no line
// to print for them, and would look cheap.
void unmount_nothing(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (::umount2("/etc", MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
            die("/etc was a mount");
        if (i % 128 == 127)
            ::sched_yield();
    }
}

// A descriptor from one end of a socket to the other.
void pass_descriptor(unsigned count)
{
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
        die("socketpair");
    for (unsigned i = 0; i < count; i++) {
        char byte = 0;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        iovec data{&byte, 1};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &ends[0], sizeof(int));
        if (::sendmsg(ends[0], &message, 0) != 1 || ::recvmsg(ends[1], &message, 0) != 1)
            die("pass a descriptor");
        int received = -1;
        std::memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
        ::close(received);
    }
    ::close(ends[0]);
    ::close(ends[1]);
}

// The terminal that a tool may be told to mirror: /dev/pts/0.
void write_terminal(unsigned count)
{
    static const int master = ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    static const int terminal = [] {
        int unlock = 0;
        ::ioctl(master, TIOCSPTLCK, &unlock);
        return ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    }();
    if (terminal < 0)
        die("open a pseudo terminal");
    char back[4096];
    for (unsigned i = 0; i < count; i++) {
        if (::write(terminal, "hello, terminal\n", 16) != 16)
            die("write to a terminal");
        while (::read(master, back, sizeof back) > 0)
            continue;
    }
}

// Pages from storage, which are read ahead: COUNT pages in all.
void read_cold(unsigned count)
{
    constexpr unsigned kPages = 256;
    static const int fd = [] {
        const int f = ::open("/mnt/ext4/bench.cold", O_RDWR | O_CREAT, 0644);
        std::vector<char> page(4096, 'x');
        for (unsigned i = 0; i < kPages; i++)
            if (::write(f, page.data(), page.size()) != 4096)
                die("write /mnt/ext4/bench.cold");
        ::fsync(f);
        return f;
    }();
    char page[4096];
    for (unsigned i = 0; i < count; i++) {
        if (i % kPages == 0)
            ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        if (::pread(fd, page, sizeof page, off_t(i % kPages) * 4096) != sizeof page)
            die("read /mnt/ext4/bench.cold");
    }
}

// A page that is in the cache.
void read_page(const char* path, unsigned count)
{
    const int fd = ::open(path, O_RDWR | O_CREAT, 0644);
    char page[4096] = {};
    if (fd < 0 || ::pwrite(fd, page, sizeof page, 0) != sizeof page)
        die("write " + std::string(path));
    for (unsigned i = 0; i < count; i++)
        if (::pread(fd, page, sizeof page, 0) != sizeof page)
            die("read");
    ::close(fd);
}

void read_file(unsigned count) { read_page("/tmp/bench.data", count); }
void read_ext4(unsigned count) { read_page("/mnt/ext4/bench.data", count); }

void run_once()
{
    const pid_t pid = ::vfork();
    if (pid == 0) {
        ::execl("/t/nothing", "nothing", "one", "two", "three", nullptr);
        ::_exit(127);
    }
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || status != 0)
        die("run /t/nothing");
}

// A process that does nothing, to its end.
void fork_nothing(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const pid_t pid = ::fork();
        if (pid == 0)
            ::_exit(0);
        if (::waitpid(pid, nullptr, 0) != pid)
            die("fork");
    }
}

void run_threads(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        std::thread([] {}).join();
}

// To itself, which ignores it.
void send_signals(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (::kill(::getpid(), SIGWINCH) != 0)
            die("kill");
}

void set_own_user(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (::setuid(0) != 0)
            die("setuid");
}

void run_nothing(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        run_once();
}

void direct_read(unsigned count)
{
    static void* page = std::aligned_alloc(4096, 4096);
    static const int fd = ::open("/dev/nullb0", O_RDONLY | O_DIRECT);
    if (fd < 0)
        die("open /dev/nullb0");
    for (unsigned i = 0; i < count; i++)
        if (::pread(fd, page, 4096, off_t(i % 1024) * 4096) != 4096)
            die("read /dev/nullb0");
}

// Two processes hand a byte back and forth: two switches an operation.
void switch_tasks(unsigned count)
{
    int to[2], from[2];
    if (::pipe(to) != 0 || ::pipe(from) != 0)
        die("pipe");
    const pid_t pid = ::fork();
    char byte = 0;
    if (pid == 0) {
        for (unsigned i = 0; i < count; i++)
            if (::read(to[0], &byte, 1) != 1 || ::write(from[1], &byte, 1) != 1)
                ::_exit(1);
        ::_exit(0);
    }
    for (unsigned i = 0; i < count; i++)
        if (::write(to[1], &byte, 1) != 1 || ::read(from[0], &byte, 1) != 1)
            die("hand over a byte");
    ::waitpid(pid, nullptr, 0);
    for (const int fd : {to[0], to[1], from[0], from[1]})
        ::close(fd);
}

// Two threads hand over to each other: two waits for a futex an operation.
void wait_for_futexes(unsigned count)
{
    static std::atomic<std::uint32_t> turn;
    const auto futex = [](int op, std::uint32_t value) {
        ::syscall(SYS_futex, &turn, op | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
    };
    const auto take_turns = [&](std::uint32_t own) {
        for (unsigned i = 0; i < count; i++) {
            while (turn != own)
                futex(FUTEX_WAIT, 1 - own);
            turn = 1 - own;
            futex(FUTEX_WAKE, 1);
        }
    };
    std::thread other([&] { take_turns(1); });
    take_turns(0);
    other.join();
}

// The mutex of a file position that two descriptors share.
void lock_position(unsigned count)
{
    const int fd = ::open("/tmp/bench.data", O_RDWR | O_CREAT, 0644), second = ::dup(fd);
    for (unsigned i = 0; i < count; i++)
        if (::lseek(fd, 0, SEEK_SET) != 0)
            die("lseek");
    ::close(second);
    ::close(fd);
}

// Each asks for CAP_CHOWN: the owner changes.
void change_owner(unsigned count)
{
    ::close(::open("/tmp/bench.owned", O_WRONLY | O_CREAT, 0644));
    for (unsigned i = 0; i < count; i++)
        if (::chown("/tmp/bench.owned", (i + 1) % 2, gid_t(-1)) != 0)
            die("chown");
    if (::chown("/tmp/bench.owned", 0, gid_t(-1)) != 0)
        die("chown");
}

void detach_nothing(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (::shmdt(reinterpret_cast<void*>(4096)) == 0)
            die("there was shared memory");
}

// COUNT milliseconds of computing, for samplers.
void compute(unsigned count)
{
    volatile std::uint64_t x = 0;
    for (std::uint64_t i = 0; i < std::uint64_t(count) * 1'000'000 / 8; i++)
        x = x + i;
}

// A process sends itself packets: each is one NET_RX softirq.
void send_packets(unsigned count)
{
    const int to = ::socket(AF_INET, SOCK_DGRAM, 0), from = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(to, any, size) != 0 || ::getsockname(to, any, &size) != 0 ||
        ::connect(from, any, size) != 0)
        die("make a pair of sockets");
    char byte = 0;
    for (unsigned i = 0; i < count; i++)
        if (::send(from, &byte, 1, 0) != 1 || ::recv(to, &byte, 1, 0) != 1)
            die("send a packet");
    ::close(to);
    ::close(from);
}

// 64 bytes through a connection, there and back in turn: acknowledgements travel with the data.
void ping_pong(unsigned count)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::bind(listener, any, sizeof address) != 0 || ::listen(listener, 1) != 0 ||
        ::getsockname(listener, any, &size) != 0)
        die("listen");
    int ends[2] = {::socket(AF_INET, SOCK_STREAM, 0), -1};
    if (::connect(ends[0], any, sizeof address) != 0)
        die("connect");
    ends[1] = ::accept(listener, nullptr, nullptr);
    char bytes[64]{};
    for (unsigned i = 0; i < count; i++)
        if (::send(ends[i % 2], bytes, sizeof bytes, 0) != sizeof bytes ||
            ::recv(ends[1 - i % 2], bytes, sizeof bytes, 0) != sizeof bytes)
            die("exchange bytes");
    for (const int fd : {listener, ends[0], ends[1]})
        ::close(fd);
}

// One byte to the serial port and until it is out: an interrupt of the port's.
void write_serial(unsigned count)
{
    const int fd = ::open("/dev/ttyS0", O_WRONLY | O_NOCTTY);
    if (fd < 0)
        die("open /dev/ttyS0");
    for (unsigned i = 0; i < count; i++)
        if (::write(fd, ".", 1) != 1 || ::tcdrain(fd) != 0)
            die("write to /dev/ttyS0");
    ::close(fd);
}

// A connection to itself that is accepted, and reset: two sockets, six changes of state.
void connect_and_reset(unsigned count)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 16) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        die("listen");
    for (unsigned i = 0; i < count; i++) {
        const int client = ::socket(AF_INET, SOCK_STREAM, 0);
        const linger now{1, 0};
        ::setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        if (::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            die("connect");
        const int accepted = ::accept(listener, nullptr, nullptr);
        ::close(client);
        ::close(accepted);
    }
    ::close(listener);
}

template <class Act>
void make_sockets(unsigned count, Act&& act)
{
    for (unsigned i = 0; i < count; i++) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        if (act(fd) != 0)
            die("bind or listen");
        ::close(fd);
    }
}

void bind_sockets(unsigned count)
{
    make_sockets(count, [](int fd) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    });
}

void listen_on_sockets(unsigned count)
{
    make_sockets(count, [](int fd) { return ::listen(fd, 16); });
}

// One of a hundred allocations stays, as in a program that leaks. What a tracer of allocations
// looks for has to be in a static program, too.
void allocate(unsigned count)
{
    static std::vector<void*> kept;
    for (unsigned i = 0; i < count; i++) {
        void* block = std::malloc(64 + i % 64);
        asm volatile("" : "+r"(block)); // or the compiler leaves it out
        if (i % 100)
            std::free(block);
        else
            kept.push_back(block);
    }
    void* aligned = nullptr;
    if (::posix_memalign(&aligned, 64, 64) == 0)
        std::free(aligned);
    std::free(std::aligned_alloc(64, 64));
    std::free(::memalign(64, 64));
    std::free(::valloc(64));
    std::free(::pvalloc(64));
    ::mremap(nullptr, 0, 0, 0);
}

void write_tls(unsigned count)
{
    alignas(8) static const char ssl[128] = {};
    static const std::string data(100, 'd');
    for (unsigned i = 0; i < count; i++)
        SSL_write(const_cast<char*>(ssl), data.data(), int(data.size()));
}

// No more than the call: names that are numbers are answered at once.
void resolve_numbers(unsigned count)
{
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    for (unsigned i = 0; i < count; i++) {
        addrinfo* found = nullptr;
        if (::getaddrinfo("127.0.0.1", nullptr, &hints, &found) == 0)
            ::freeaddrinfo(found);
    }
    // What a tracer looks for has to be in a static program, too.
    ::gethostbyname("127.0.0.1");
    ::gethostbyname2("127.0.0.1", AF_INET);
}

// A command of MariaDB, as dbslower sees it.
extern "C" int dispatch_command(int, void*, char*, unsigned,
                                bool) asm("_Z16dispatch_command19enum_server_commandP3THDPcjb");
extern "C" [[gnu::noinline, gnu::noipa]] int dispatch_command(int, void*, char*, unsigned, bool)
{
    return 0;
}

void run_commands(unsigned count)
{
    char text[] = "select name, price from products where category = 17 order by price limit 20";
    for (unsigned i = 0; i < count; i++)
        dispatch_command(3, &count, text, sizeof text - 1, true);
}

// As bash: peers look at nobody else.
void read_lines(unsigned count)
{
    ::prctl(PR_SET_NAME, "bash");
    const std::string line = "make -j2 all";
    for (unsigned i = 0; i < count; i++)
        readline(line.c_str());
}

struct Named {
    std::string_view name;
    void (*run)(unsigned);
};
constexpr Named kWorkloads[] = {
    {"open", open_missing},
    {"read", read_file},
    {"exec", run_nothing},
    {"block", direct_read},
    {"switch", switch_tasks},
    {"compute", compute},
    {"stat", stat_missing},
    {"create", create_and_delete},
    {"sync", sync_file},
    {"umount", unmount_nothing},
    {"pass-fd", pass_descriptor},
    {"tty-write", write_terminal},
    {"ext4-read", read_ext4},
    {"cold-read", read_cold},
    {"chown", change_owner},
    {"shmdt", detach_nothing},
    {"packet", send_packets},
    {"serial", write_serial},
    {"fork", fork_nothing},
    {"thread", run_threads},
    {"signal", send_signals},
    {"set-id", set_own_user},
    {"connect", connect_and_reset},
    {"bind", bind_sockets},
    {"listen", listen_on_sockets},
    {"ping-pong", ping_pong},
    {"allocate", allocate},
    {"tls-write", write_tls},
    {"resolve", resolve_numbers},
    {"command", run_commands},
    {"readline", read_lines},
    {"futex", wait_for_futexes},
    {"lock", lock_position},
};

struct Measured {
    std::uint64_t elapsed_ns, tail_cpu_ns, reader_ns;
};

// The workload's time, what `pid` (0: nobody) still computes afterwards to catch up, and all that
// it computes for the workload.
Measured measure(const Named& workload, unsigned count, pid_t pid)
{
    workload.run(std::min(count, 50u)); // caches warm, lazily made things made
    sleep_ms(300);
    const std::uint64_t idle = pid ? cpu_ns(pid) : 0, start = now_ns();
    workload.run(count);
    const std::uint64_t end = now_ns(), busy = pid ? cpu_ns(pid) : 0;
    sleep_ms(500);
    const std::uint64_t caught_up = pid ? cpu_ns(pid) : 0;
    return {end - start, caught_up - busy, caught_up - idle};
}

unsigned long lines_of(const char* path)
{
    const std::string text = slurp(path);
    return (unsigned long)std::ranges::count(text, '\n');
}

// The sum of N in "lost N events" and "N lost" lines.
unsigned long lost_of(const char* path)
{
    const std::string text = slurp(path);
    unsigned long lost = 0;
    for (std::size_t at = 0; (at = text.find("ost ", at)) != text.npos; at += 4)
        lost += std::strtoul(text.c_str() + at + 4, nullptr, 10);
    const auto account = text.rfind(" lost");
    if (account != text.npos) {
        const auto space = text.rfind(' ', account - 1);
        lost += std::strtoul(text.c_str() + space + 1, nullptr, 10);
    }
    return lost;
}

// "1 234.5" with `decimals`, "–" for what was not measured.
std::string number(const nlohmann::json& run, const char* key, int decimals, double scale = 1)
{
    if (!run.contains(key))
        return "–";
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, run[key].get<double>() / scale);
    return text;
}

std::string ratio(const nlohmann::json& ours, const nlohmann::json& theirs, const char* key)
{
    if (!ours.contains(key) || !theirs.contains(key) || theirs[key].get<double>() <= 0)
        return "–";
    char text[64];
    std::snprintf(text, sizeof text, "**%.2f**",
                  ours[key].get<double>() / theirs[key].get<double>());
    return text;
}

int table()
{
    std::vector<std::string> order;
    std::map<std::string, std::map<std::string, nlohmann::json>> runs;
    std::string text;
    char block[65536];
    for (ssize_t n; (n = ::read(0, block, sizeof block)) > 0;)
        text.append(block, std::size_t(n));
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const std::string line = text.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with("{\"tool\""))
            continue;
        const auto run = nlohmann::json::parse(line);
        const std::string tool = run["tool"];
        if (!runs.contains(tool))
            order.push_back(tool);
        runs[tool][run["label"]] = run;
    }
    std::puts(
        "| tool | operation | alone ns | added ns: ours | theirs | ratio | start-up ms: ours | "
        "theirs | ratio | memory MiB: ours | theirs | ratio | lost: ours | theirs |");
    std::puts("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    std::string missing;
    for (const std::string& tool : order) {
        const nlohmann::json& ours = runs[tool]["ours"];
        if (ours.is_null())
            continue; // it did not run, and has said so
        nlohmann::json& theirs = runs[tool]["theirs"];
        // What prints a line an event here and nothing there does not work there: no cost to
        // compare with.
        const bool blind = theirs.contains("lines") &&
                           theirs["lines"].get<double>() < ours["lines"].get<double>() / 10 &&
                           ours["lines"].get<double>() >= ours["count"].get<double>();
        // What prints fewer lines than ours, which prints one an event, lost the rest: some peers
        // do not report that.
        if (theirs.contains("lines") &&
            ours["lines"].get<double>() >= ours["count"].get<double>() &&
            ours.value("lost", 0) == 0)
            theirs["lost"] = std::max(theirs.value("lost", 0.0),
                                      ours["lines"].get<double>() - theirs["lines"].get<double>());
        // Nor of what costs nothing where there is something to see: its probes do not fire.
        const bool idle = theirs.contains("added_ns") && theirs["added_ns"].get<double>() < 1 &&
                          ours.value("added_ns", 0.0) >= 1;
        if (blind || idle) {
            theirs.erase("added_ns");
            missing += "- libbpf-tools' " + tool + " saw nothing of what ours did.\n";
        }
        const std::string operation = ours.value("workload", "");
        std::printf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
                    tool.c_str(), operation.c_str(), number(ours, "alone_ns", 0).c_str(),
                    number(ours, "added_ns", 0).c_str(), number(theirs, "added_ns", 0).c_str(),
                    ratio(ours, theirs, "added_ns").c_str(), number(ours, "startup_ms", 1).c_str(),
                    number(theirs, "startup_ms", 1).c_str(),
                    ratio(ours, theirs, "startup_ms").c_str(),
                    number(ours, "memory_kib", 1, 1024).c_str(),
                    number(theirs, "memory_kib", 1, 1024).c_str(),
                    ratio(ours, theirs, "memory_kib").c_str(), number(ours, "lost", 0).c_str(),
                    number(theirs, "lost", 0).c_str());
    }
    if (!missing.empty())
        std::printf("\n%s", missing.c_str());
    return 0;
}

// A tool that traces by now, and the CPU time that it took to get there, in ns.
std::pair<pid_t, std::uint64_t> start(char** command)
{
    const pid_t pid = ::fork();
    if (pid == 0) {
        for (const auto& [path, fd] : {std::pair{kOutput, 1}, std::pair{kErrors, 2}}) {
            const int file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
            ::dup2(file, fd);
        }
        ::execvp(command[0], command);
        ::_exit(127);
    }
    // Attached once it has slept for a while without computing. The emulator skips idle time.
    std::uint64_t startup = 0;
    for (unsigned calm = 0, waited = 0; calm < 3; waited++) {
        sleep_ms(500);
        const std::uint64_t cpu = cpu_ns(pid);
        calm = cpu > 0 && cpu - startup < 1'000'000 ? calm + 1 : 0;
        startup = cpu;
        if (waited > 200 || ::waitpid(pid, nullptr, WNOHANG) == pid) {
            std::fputs(slurp(kErrors).c_str(), stderr);
            die(std::string(command[0]) + " did not start");
        }
    }
    return {pid, startup};
}

void end(pid_t pid)
{
    ::kill(pid, SIGINT);
    ::waitpid(pid, nullptr, 0);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--table")
        return table();
    if (argc < 7 || std::string_view(argv[5]) != "--") {
        std::fputs("usage: bench NAME WORKLOAD COUNT LABEL -- COMMAND...\n", stderr);
        return 1;
    }
    const auto workload = std::ranges::find(kWorkloads, std::string_view(argv[2]), &Named::name);
    if (workload == std::end(kWorkloads))
        die("no such workload");
    const unsigned count = unsigned(std::strtoul(argv[3], nullptr, 10));
    std::string self = std::to_string(::getpid()); // which does the work
    for (char** word = argv + 6; *word; word++)
        if (std::string_view(*word) == "SELF")
            *word = self.data();
    const Measured alone = measure(*workload, count, 0);

    // Of several starts the middle one counts: the first after boot finds the kernel's caches
    // empty.
    std::array<std::uint64_t, 3> startups{};
    pid_t pid = 0;
    for (std::uint64_t& startup : startups) {
        if (pid)
            end(pid);
        std::tie(pid, startup) = start(argv + 6);
    }
    std::ranges::sort(startups);
    const std::uint64_t startup = startups[startups.size() / 2];
    const std::uint64_t ring = ring_kib(pid), rss = status_kib(pid, "VmRSS:"),
                        peak = status_kib(pid, "VmHWM:");
    const unsigned long lines = lines_of(kOutput);
    const Measured traced = measure(*workload, count, pid);
    end(pid);
    const double added =
        (double(traced.elapsed_ns + traced.tail_cpu_ns) - double(alone.elapsed_ns)) / count;
    // The peak is taken with the buffers: of loading, when they are not mapped yet, only what goes
    // beyond that shows.
    const std::uint64_t most = std::max(peak, rss), memory = most > ring ? most - ring : 0;
    std::printf(
        "{\"tool\":\"%s\",\"label\":\"%s\",\"workload\":\"%s\",\"count\":%u,\"alone_ns\":%.1f,"
        "\"added_ns\":%.1f,\"startup_ms\":%.2f,\"memory_kib\":%llu,\"ring_kib\":%llu,"
        "\"lines\":%lu,\"lost\":%lu,\"reader_ns\":%.1f}\n",
        argv[1], argv[4], argv[2], count, double(alone.elapsed_ns) / count, added,
        double(startup) / 1e6, (unsigned long long)memory, (unsigned long long)ring,
        lines_of(kOutput) - lines, lost_of(kErrors), double(traced.reader_ns) / count);
    return 0;
}
