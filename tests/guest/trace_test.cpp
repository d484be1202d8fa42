// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What trace prints of facts that a process caused: at every kind of place, by every kind of probe.
#include "../programs/programs.hpp"
#include "harness.hpp"
#include "traced.hpp"
#include "usdt.hpp"
#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

USDT_SEMAPHORE(cbtest_trace_semaphore);

namespace
{

using namespace corebox::test;
using std::to_string;

extern "C" [[gnu::noinline, gnu::used]] long cbtest_trace_call(int number, const char* text,
                                                               unsigned char byte)
{
    asm volatile("" ::"r"(number), "r"(text), "r"(byte));
    return number < 0 ? -number : number * 2;
}

// Of this process too, so that a probe can read it: the kernel gives a forked process no more of a
// file than it asks for.
const char* touched(const char* text)
{
    EXPECT_GT(::strlen(text), 0u);
    return text;
}

void fire_usdt(int a, long b) { USDT_PROBE("cbtest", "trace", "cbtest_trace_semaphore", a, b); }

Json arguments(const Records& records, std::size_t n)
{
    return n < records.size() && records[n].contains("args") ? records[n].at("args") : Json();
}

// Functions and returns of the kernel with names, structures, user texts and errors.
TEST(Trace, KernelFunctions)
{
    TempDir dir;
    write_file(dir / "there", "0123456789");
    const std::string there = dir / "there", missing = dir / "missing";
    for (const std::string rung : {"", "kprobe"}) {
        SCOPED_TRACE(rung);
        const Result r =
            watch("trace",
                  {"do_sys_openat2 (dfd == -100) \"%s %d %s\", arg2@user, dfd, $comm",
                   "r::do_sys_openat2 (retval < 0) \"%d %s\", retval, errno(retval)",
                   "vfs_read (count == 7) \"%s %d %lu\", file->f_path.dentry->d_name.name, "
                   "$task->pid == $pid, arg3",
                   "r::vfs_read (retval == 7) \"%d\", retval"},
                  [&] {
                      char buffer[64];
                      const int fd = ::open(there.c_str(), O_RDONLY);
                      EXPECT_EQ(::open(missing.c_str(), O_RDONLY), -1);
                      EXPECT_EQ(::read(fd, buffer, 7), 7);
                      EXPECT_EQ(::read(fd, buffer, 8), 3);
                  },
                  {.env = forced(rung), .others_too = true});
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        const Records opens = with(r.records, "function", "do_sys_openat2");
        ASSERT_EQ(opens.size(), 3u) << r.out << r.err;
        EXPECT_EQ(arguments(opens, 0),
                  (Json{{"arg2", there}, {"dfd", -100}, {"comm", "guest_tests"}}));
        EXPECT_EQ(arguments(opens, 1).at("arg2"), missing);
        EXPECT_EQ(arguments(opens, 2), (Json{{"retval", -2}, {"errno(retval)", "ENOENT"}}));
        EXPECT_EQ(opens[2].at("message"), "-2 ENOENT");
        const Records reads = with(r.records, "function", "vfs_read");
        ASSERT_EQ(reads.size(), 2u) << r.out;
        EXPECT_EQ(arguments(reads, 0),
                  (Json{{"name", "there"}, {"$task->pid == $pid", 1}, {"arg3", 7}}));
        EXPECT_EQ(arguments(reads, 1), (Json{{"retval", 7}}));
    }
}

// Functions, returns and USDT probes of a program; conditions on texts.
TEST(Trace, Programs)
{
    const std::string program = this_program();
    for (const std::string rung : {"", "uprobe"}) {
        SCOPED_TRACE(rung);
        const Result r =
            watch("trace",
                  {program + ":cbtest_trace_call(int number, const char *text, unsigned char byte) "
                             "(text ~ \"a*z\" && number != 3) \"%d %s %u\", number, text, byte",
                   "r:" + program + ":cbtest_trace_call \"%d\", retval",
                   "u:" + program + ":cbtest:trace (arg1 < 0) \"%d %lx\", arg1, arg2"},
                  [] {
                      cbtest_trace_call(-5, touched("abcz"), 200);
                      cbtest_trace_call(3, "abcz", 1); // other number
                      cbtest_trace_call(4, "abc", 1);  // other text
                      fire_usdt(-7, 0x123456789);
                      fire_usdt(7, 1);
                  },
                  {.env = forced(rung), .others_too = true});
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        ASSERT_EQ(r.records.size(), 5u) << r.out << r.err;
        EXPECT_EQ(arguments(r.records, 0), (Json{{"number", -5}, {"text", "abcz"}, {"byte", 200}}));
        EXPECT_EQ(arguments(r.records, 1).at("retval"), 5);
        EXPECT_EQ(arguments(r.records, 2).at("retval"), 6);
        EXPECT_EQ(arguments(r.records, 3).at("retval"), 8);
        EXPECT_EQ(arguments(r.records, 4), (Json{{"arg1", -7}, {"arg2", 0x123456789}}));
        EXPECT_EQ(r.records[4].at("function"), "trace");
        EXPECT_EQ(r.account.at("filtered"), 3);
    }
}

// What a program's DWARF says: names and types of parameters, where they are passed, members of its
// classes by way of pointers, results.
TEST(Trace, TypesOfAProgram)
{
    TempDir dir;
    const std::string program = dir / "types";
    write_file(program, types_program_file());
    ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
    const std::string take = program + ":types_take";
    const Result r =
        run({"trace",
             take + " (count < 0 && item->kind == pen) \"%s %d %d %d %d\", item->name, item->id, "
                    "item->prices[1][0], item->level, count",
             take + " (count == -1 && ((struct Item *)item)->next->direction == kBack) \"%s\", "
                    "*item->next",
             "r:" + program + ":types_take \"%d\", retval",
             program + ":types_make(const struct Item *what, int n) \"%d %s\", n, what->next->name",
             "--json", "--", program});
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 7u) << r.out << r.err;
    const auto by_name = with(r.records, "function", "types_take");
    Records calls, whole, returned;
    for (const Json& record : by_name)
        (record.at("args").contains("retval") ? returned
         : record.at("args").size() == 1      ? whole
                                              : calls)
            .push_back(record);
    ASSERT_EQ(calls.size(), 2u) << r.out;
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(calls[std::size_t(i)].at("message"), "quill 7 -4 17 " + to_string(-1 - i));
    ASSERT_EQ(whole.size(), 1u) << r.out;
    const Json& next = whole[0].at("args").begin().value();
    EXPECT_EQ(next.at("id"), 8) << r.out;
    EXPECT_EQ(next.at("kind"), "book") << r.out;
    EXPECT_EQ(next.at("prices"), Json::parse("[[4,5,6],[7,8,9]]")) << r.out;
    ASSERT_EQ(returned.size(), 3u) << r.out;
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(arguments(returned, std::size_t(i)).at("retval"), 7 + 40 - i + 1);
    const auto make = with(r.records, "function", "types_make");
    ASSERT_EQ(make.size(), 1u);
    EXPECT_EQ(make[0].at("message"), "12 ink");
}

// Tracepoints with their fields, wrappers of system calls, raw tracepoints.
TEST(Trace, TracepointsAndSystemCalls)
{
    TempDir dir;
    const std::string name = dir / "f";
    const Result r = watch(
        "trace",
        {"t:syscalls:sys_enter_openat \"%s %d\", args->filename, args->dfd",
         "t:syscalls:sys_exit_openat (args->ret < 0) \"%d\", args->ret",
         "p::" + system_call("openat") + " \"%s %o\", arg2@user, arg4",
         "t:sched:sched_process_fork \"%s\", args->parent_comm",
         "raw:sched_process_exit \"%s\", $comm"},
        [&] {
            ::syscall(SYS_openat, AT_FDCWD, name.c_str(), O_RDONLY | O_CLOEXEC, 0);
            ::close(int(::syscall(SYS_openat, AT_FDCWD, name.c_str(), O_RDWR | O_CREAT, 0640)));
            const pid_t child = ::fork();
            if (child == 0)
                ::_exit(0);
            ::waitpid(child, nullptr, 0);
        });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    const Records enters = with(r.records, "function", "sys_enter_openat");
    ASSERT_EQ(enters.size(), 2u) << r.out << r.err;
    EXPECT_EQ(arguments(enters, 0), (Json{{"filename", name}, {"dfd", AT_FDCWD}}));
    const Records exits = with(r.records, "function", "sys_exit_openat");
    ASSERT_EQ(exits.size(), 1u);
    EXPECT_EQ(arguments(exits, 0), (Json{{"ret", -2}}));
    const Records calls = with(r.records, "function", system_call("openat"));
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(arguments(calls, 1), (Json{{"arg2", name}, {"arg4", 0640}}));
    EXPECT_EQ(calls[1].at("message"), name + " 640");
    const Records forks = with(r.records, "function", "sched_process_fork");
    ASSERT_EQ(forks.size(), 1u);
    EXPECT_EQ(arguments(forks, 0), (Json{{"parent_comm", "guest_tests"}}));
    // This process ends after the tool was told.
    EXPECT_GE(with(r.records, "function", "sched_process_exit").size(), 0u);
}

// Texts at the end of a page, in pages that are not there yet, NULL.
TEST(Trace, TextsInAwkwardPlaces)
{
    const std::string program = this_program();
    const long page = ::sysconf(_SC_PAGESIZE);
    TempDir dir;
    write_file(dir / "texts", std::string("from a file\0", 12));
    const Result r =
        watch("trace",
              {"-Z", "16", program + ":cbtest_trace_call (arg1 != 0) \"%d %s\", arg1, arg2@user",
               program + ":cbtest_trace_call (STRCMP(\"end\", arg2@user)) \"prefix %d\", arg1",
               program + ":cbtest_trace_call(int n, char *s) (s =~ \"^en[c-e]$\") \"regex %d\", n"},
              [&] {
                  auto* pages = static_cast<char*>(::mmap(nullptr, std::size_t(2 * page),
                                                          PROT_READ | PROT_WRITE,
                                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
                  ::munmap(pages + page, std::size_t(page));
                  ::strcpy(pages + page - 4, "end");
                  cbtest_trace_call(1, pages + page - 4, 0);
                  cbtest_trace_call(2, nullptr, 0);
                  cbtest_trace_call(3, touched("longer than sixteen bytes"), 0);
                  const int fd = ::open((dir / "texts").c_str(), O_RDONLY);
                  auto* file = static_cast<const char*>(
                      ::mmap(nullptr, std::size_t(page), PROT_READ, MAP_PRIVATE, fd, 0));
                  cbtest_trace_call(4, file, 0); // never touched
              });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    Records all;
    std::vector<std::string> other;
    for (const Json& record : r.records) {
        const std::string message = record.at("message");
        message.starts_with("prefix") || message.starts_with("regex") ? other.push_back(message)
                                                                      : all.push_back(record);
    }
    ASSERT_EQ(all.size(), 4u) << r.out << r.err;
    EXPECT_EQ(arguments(all, 0).at("arg2"), "end");
    EXPECT_TRUE(arguments(all, 1).at("arg2").is_null());
    EXPECT_EQ(all[1].at("message"), "2 -");
    EXPECT_EQ(arguments(all, 2).at("arg2"), "longer than six");
    const Json last = arguments(all, 3).at("arg2"); // it is there, or it is said that it is not
    EXPECT_TRUE(last.is_null() || last == "from a file") << last;
    std::ranges::sort(other);
    EXPECT_EQ(other, (std::vector<std::string>{"prefix 1", "regex 1"}));
}

// Structures whole, members on the way to nothing, enumerators, addresses.
TEST(Trace, StructuresAndValues)
{
    const Result r =
        watch("trace",
              {"security_socket_create \"%d %s\", family, $task->signal->tty->name",
               "r::__sys_socket \"%K %x\", retval ? $task->sched_class : 0, retval",
               "security_socket_connect \"%s %s\", address, ip(((struct sockaddr_in "
               "*)address)->sin_addr)"},
              [] {
                  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
                  sockaddr address{.sa_family = AF_INET, .sa_data = "\x12\x34\x7f\x01\x02\x03"};
                  address.sa_data[2] = 127;
                  EXPECT_EQ(::connect(fd, &address, sizeof address), 0);
              });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    const Records creates = with(r.records, "function", "security_socket_create");
    ASSERT_EQ(creates.size(), 1u) << r.out << r.err;
    EXPECT_EQ(arguments(creates, 0).at("family"), AF_INET);
    EXPECT_TRUE(arguments(creates, 0).at("name").is_null()); // no terminal
    const Records connects = with(r.records, "function", "security_socket_connect");
    ASSERT_EQ(connects.size(), 1u) << r.out << r.err;
    EXPECT_EQ(arguments(connects, 0).at("address").at("sa_family"), AF_INET);
    EXPECT_EQ(connects[0].at("args").back(), "127.1.2.3") << connects[0];
}

// A function of a module, which has no BTF on 5.10; tracepoints of a pattern, each with its own
// record.
TEST(Trace, Modules)
{
    TempDir dir("/mnt/xfs");
    write_file(dir / "f", "12345");
    const Result r = watch(
        "trace",
        {"xfs_file_open(struct inode *i, struct file *f) \"%s %d\", f->f_path.dentry->d_name.name, "
         "i->i_size",
         "r::xfs_file_open \"%d\", retval",
         "t:xfs:xfs_file_*_read \"%d %d\", args->count, args->offset"},
        [&] {
            char buffer[8];
            const int fd = ::open((dir / "f").c_str(), O_RDONLY);
            EXPECT_EQ(::pread(fd, buffer, 4, 1), 4);
        });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    const Records opens = with(r.records, "function", "xfs_file_open");
    ASSERT_EQ(opens.size(), 2u) << r.out << r.err;
    EXPECT_EQ(arguments(opens, 0), (Json{{"name", "f"}, {"i_size", 5}}));
    EXPECT_EQ(arguments(opens, 1), (Json{{"retval", 0}}));
    const Records reads = with(r.records, "function", "xfs_file_buffered_read");
    ASSERT_EQ(reads.size(), 1u) << r.out;
    EXPECT_EQ(arguments(reads, 0), (Json{{"count", 4}, {"offset", 1}}));
}

// Identical lines are counted until there were exactly so many; text as BCC has it; stacks.
TEST(Trace, TextAndAggregates)
{
    const std::string program = this_program();
    Child child([] {
        for (int i = 0; i < 30; i++)
            cbtest_trace_call(i % 3 == 0, "x", 0);
        ::sleep(1); // while its stack is read
    });
    const std::string pid = to_string(child.pid()), call = program + ":cbtest_trace_call";
    Tracer counts({"trace", "-p", pid, "-A", "-M", "17", call + " \"%d\", arg1"});
    Tracer text({"trace", "-p", pid, "-M", "2", "-T", "-C", "-U", call + " \"first %d\", arg1"});
    Tracer plain({"trace", "-p", pid, "-M", "1", call});
    child.go();
    const Result c = counts.wait(), t = text.wait(), p = plain.wait();
    child.wait();
    EXPECT_EQ(c.status, 0) << c.err;
    const auto blocks = lines(c.out);
    ASSERT_EQ(blocks.size(), 7u) << c.out;
    EXPECT_EQ(words(blocks[0]), (std::vector<std::string>{"PID", "TID", "COMM", "FUNC", "-"}));
    EXPECT_TRUE(blocks[1].ends_with(" 0")) << c.out;
    EXPECT_EQ(blocks[2], "-->COUNT 11");
    EXPECT_TRUE(blocks[4].ends_with(" 1")) << c.out;
    EXPECT_EQ(blocks[5], "-->COUNT 6");
    const auto rows = lines(t.out);
    ASSERT_GE(rows.size(), 6u) << t.out;
    EXPECT_EQ(words(rows[0]),
              (std::vector<std::string>{"TIME", "CPU", "PID", "TID", "COMM", "FUNC", "-"}));
    EXPECT_TRUE(rows[1].ends_with("first 1")) << t.out;
    EXPECT_TRUE(rows[2].find("cbtest_trace_call") != std::string::npos) << t.out;
    EXPECT_EQ(words(lines(p.out).at(1)),
              (std::vector<std::string>{pid, pid, "guest_tests", "cbtest_trace_call"}));
}

// Types that a file declares (-I), and lists of bytes (-B).
TEST(Trace, DeclarationsAndBytes)
{
    TempDir dir;
    write_file(dir / "pair.h", "#define LIMIT 40\nstruct inner { unsigned a : 3, b : 5; };\n"
                               "struct cbtest_pair {\n\tint number;\n\tchar name[8];\n"
                               "\tstruct inner in;\n};\n");
    write_file(dir / "wrong.h", "struct cbtest_pair {\n\tint int number;\n};\n");
    struct Pair {
        int number;
        char name[8];
        unsigned bits;
    };
    static const Pair kPairs[] = {{41, "first", 5 << 3 | 2}, {39, "second", 0}};
    const std::string call = this_program() + ":cbtest_trace_call";
    const Result r = watch(
        "trace",
        {"-I", dir / "pair.h", "-B",
         call +
             "(int n, struct cbtest_pair *p) (p->number > LIMIT) \"%s %d %s\", p->name, p->in.b, "
             "p",
         call + " (STRCMP(\"0x27,0,0,0,115,0x65\", arg2@user)) \"bytes %d\", arg1"},
        [&] {
            for (const Pair& pair : kPairs)
                cbtest_trace_call(pair.number, reinterpret_cast<const char*>(&pair), 0);
        });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 2u) << r.out << r.err;
    const Json pair = {{"number", 41}, {"name", "first"}, {"in", {{"a", 2}, {"b", 5}}}};
    EXPECT_EQ(arguments(r.records, 0), (Json{{"name", "first"}, {"b", 5}, {"p", pair}}));
    EXPECT_EQ(r.records[1].at("message"), "bytes 39");
    const Result wrong = run({"trace", "-I", dir / "wrong.h", "vfs_read"});
    EXPECT_EQ(wrong.status, 1);
    EXPECT_NE(wrong.err.find("wrong.h, line 2"), wrong.err.npos) << wrong.err;
}

// What cannot be traced, and where it is wrong.
TEST(Trace, Refusals)
{
    const auto refused = [](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "trace");
        const Result r = run(arguments);
        EXPECT_NE(r.status, 0) << r.out;
        return r.err;
    };
    EXPECT_TRUE(refused({"vfs_raed"}).find("vfs_read") != std::string::npos)
        << refused({"vfs_raed"});
    const std::string member = refused({"vfs_read (file->f_nothing == 1)"});
    EXPECT_TRUE(member.find("no member 'f_nothing' in struct file") != std::string::npos) << member;
    EXPECT_TRUE(member.find("^^^^^^^^^") != std::string::npos) << member;
    const std::string none = refused({"u:" + this_program() + ":no_such_probe"});
    EXPECT_TRUE(none.find("no_such_probe") != std::string::npos) << none;
    refused({"t:sched:no_such_event"});
    refused({"-A", "vfs_read"});
    refused({});
}

} // namespace
