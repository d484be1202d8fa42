// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Slow calls, of this program and of the kernel: their times, arguments, results and stacks.
#include "harness.hpp"
#include "traced.hpp"
#include <algorithm>
#include <elf.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr int kNapNs = 20'000'000;

Result trace(const std::vector<std::string>& arguments, const Environment& env,
             const std::function<void()>& work, pid_t& pid)
{
    return watch("funcslower", arguments, work, {.env = env, .others_too = true, .pid = &pid});
}

std::vector<std::string> texts(const Json& list)
{
    return list.is_array() ? list.get<std::vector<std::string>>() : std::vector<std::string>{};
}

// Where `name` stands in the list, or -1.
int place(const std::vector<std::string>& names, const std::string& name)
{
    const auto at = std::ranges::find(names, name);
    return at == names.end() ? -1 : int(at - names.begin());
}

TEST(Funcslower, UserCallsWithArgumentsAndStacks)
{
    const std::string program = this_program();
    for (const std::string rung : {"", "uprobe"}) {
        SCOPED_TRACE(rung);
        pid_t pid;
        const Result r = trace(
            {"-m", "19.5", "-a", "2", "-U", program + ":traced_nap", program + ":traced_outer"},
            forced(rung),
            [] {
                traced_outer(0x123456789);
                traced_tail();
            },
            pid);
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        ASSERT_EQ(r.records.size(), 4u) << r.out;
        const Records naps = with(r.records, "function", "traced_nap");
        ASSERT_EQ(naps.size(), 3u);
        const std::uint64_t results[] = {0x2468acf13, 0x2468acf14, 4};
        const std::vector<std::string> args[] = {
            {"0x123456789", "0x1"}, {"0x123456789", "0x2"}, {"0x1", "0x2"}};
        for (std::size_t i = 0; i < 3; i++) {
            EXPECT_EQ(naps[i].at("rval"), results[i]);
            EXPECT_EQ(texts(naps[i].at("args")), args[i]);
            EXPECT_EQ(texts(naps[i].at("user")).at(0), "traced_nap");
            EXPECT_GE(naps[i].at("lat_ns"), kNapNs);
            EXPECT_EQ(naps[i].at("pid"), pid);
            EXPECT_EQ(naps[i].at("tid"), pid);
            EXPECT_EQ(naps[i].at("comm"), "guest_tests");
        }
        // The inner calls do not disturb the outer one, which ends third.
        const Json& outer = r.records[2];
        EXPECT_EQ(outer.at("function"), "traced_outer");
        EXPECT_EQ(outer.at("rval"), 0x2468acf13 + 0x2468acf14);
        EXPECT_EQ(texts(outer.at("args")).at(0), "0x123456789");
        EXPECT_GE(outer.at("lat_ns"), 2 * kNapNs);
        EXPECT_EQ(texts(outer.at("user")).at(0), "traced_outer");
        EXPECT_TRUE(outer.at("kernel").is_null());
        // The caller of a function that is not traced itself is there.
        const auto stack = texts(naps[0].at("user"));
        EXPECT_EQ(place(stack, "traced_outer"), 1) << naps[0];
    }
}

TEST(Funcslower, KernelCalls)
{
    // The first is taken by itself but on 5.10, where fexit programs cannot have the result.
    for (const std::string rung : {"", "kprobe"}) { // (funclatency has kprobe.multi)
        SCOPED_TRACE(rung);
        TempDir dir;
        write_file(dir / "f", std::string(500, 'x'));
        pid_t pid;
        // -u 0: all. read(2) with 33 bytes and then with an error.
        const Result r = trace(
            {"-u", "0", "-a", "3", "-K", "vfs_read"}, forced(rung),
            [&] {
                char buffer[64];
                const int fd = ::open((dir / "f").c_str(), O_RDWR);
                EXPECT_EQ(::read(fd, buffer, 33), 33);
                const int out = ::open((dir / "f").c_str(), O_WRONLY);
                EXPECT_EQ(::read(out, buffer, 7), -1);
                EXPECT_EQ(::read(fd, buffer, 5), 5);
            },
            pid);
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        ASSERT_EQ(r.records.size(), 3u) << r.out;
        EXPECT_EQ(r.records[0].at("rval"), 33);
        EXPECT_EQ(r.records[1].at("rval"), std::uint64_t(-9)); // -EBADF
        EXPECT_EQ(r.records[2].at("rval"), 5);
        EXPECT_EQ(texts(r.records[0].at("args")).at(2), "0x21");
        EXPECT_EQ(texts(r.records[1].at("args")).at(2), "0x7");
        for (const Json& record : r.records) {
            EXPECT_EQ(record.at("function"), "vfs_read");
            EXPECT_GT(record.at("lat_ns"), 0);
            const auto stack = texts(record.at("kernel"));
            ASSERT_GE(stack.size(), 3u) << record;
            EXPECT_EQ(stack[0], "vfs_read");
            EXPECT_GT(place(stack, "do_syscall_64"), 0) << record;
        }
    }
}

// Kernel and user functions in one run; the threshold; text as BCC has it, and folded stacks.
TEST(Funcslower, TextAndThreshold)
{
    const std::string nap = this_program() + ":traced_nap";
    Child child([] {
        traced_nap(1, 2);
        traced_nap(3, 4);
        ::sleep(1); // while its stacks are read
    });
    const std::string pid = to_string(child.pid());
    Tracer text(
        {"funcslower", "-p", pid, "-u", "15000", "-a", "1", "-UK", nap, "hrtimer_nanosleep"});
    Tracer folded({"funcslower", "-p", pid, "-m", "15", "-f", "-UK", nap});
    Tracer never({"funcslower", "-p", pid, "-m", "60000", "-T", nap});
    child.go_wait();
    const Result t = text.wait(), f = folded.wait(), n = never.wait();
    EXPECT_EQ(t.status, 0) << t.err;
    const auto rows = lines(t.out);
    ASSERT_GE(rows.size(), 10u) << t.out;
    EXPECT_EQ(words(rows[0]), words("COMM PID LAT(us) RVAL FUNC ARGS"));
    EXPECT_EQ(words(rows[1])[1], pid);
    EXPECT_EQ(words(rows[1])[4], "hrtimer_nanosleep");
    EXPECT_EQ(rows[2], "    hrtimer_nanosleep");
    int naps = 0, sleeps = 0;
    for (std::size_t i = 1; i < rows.size(); i++) {
        const auto w = words(rows[i]);
        sleeps += w.size() == 6 && w[4] == "hrtimer_nanosleep";
        if (w.size() != 6 || w[4] != "traced_nap")
            continue;
        naps++;
        EXPECT_EQ(w[3], naps == 1 ? "0x4" : "0xa");
        EXPECT_EQ(w[5], naps == 1 ? "0x1" : "0x3");
        EXPECT_GE(std::stod(w[2]), 20'000.0);
        EXPECT_EQ(rows.at(i + 1), "    traced_nap");
    }
    EXPECT_EQ(naps, 2) << t.out;
    EXPECT_EQ(sleeps, 3) << t.out;

    const auto stacks = lines(f.out);
    ASSERT_EQ(stacks.size(), 2u) << f.out;
    EXPECT_TRUE(stacks[0].starts_with("guest_tests;")) << f.out;
    EXPECT_TRUE(stacks[0].ends_with(";traced_nap 1")) << f.out;
    ASSERT_EQ(lines(n.out).size(), 1u) << n.out;
    EXPECT_EQ(words(lines(n.out)[0]), words("TIME COMM PID LAT(ms) RVAL FUNC"));
    EXPECT_NE(n.err.find(" = 0 printed + 2 filtered + 0 lost"), std::string::npos) << n.err;

    for (const std::vector<std::string>& bad :
         std::vector<std::vector<std::string>>{{},
                                               {"-a", "7", "vfs_read"},
                                               {"-u", "1", "-m", "1", "vfs_read"},
                                               {"-f", "vfs_read"},
                                               {"-m", "x", "vfs_read"},
                                               {"t:sched:sched_switch"}}) {
        auto argv = bad;
        argv.insert(argv.begin(), "funcslower");
        const Result r = run(argv);
        EXPECT_EQ(r.status, 1) << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

// Threads that nap at once, each with its own calls.
TEST(Funcslower, ThreadsAndCallsWithinEachOther)
{
    constexpr int kThreads = 12, kDepth = 10;
    pid_t pid;
    const Result r = trace(
        {"-m", "0", "-a", "1", this_program() + ":traced_recursion"}, {},
        [] {
            std::vector<std::thread> threads;
            for (int i = 0; i < kThreads; i++)
                threads.emplace_back([] { traced_recursion(kDepth); });
            for (std::thread& thread : threads)
                thread.join();
        },
        pid);
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    EXPECT_EQ(r.records.size(), std::size_t(kThreads * kDepth));
    for (int depth = 1; depth <= kDepth; depth++) {
        char text[8];
        std::snprintf(text, sizeof text, "0x%x", depth);
        const Records calls = with(r.records, "args", Json::array({text}));
        EXPECT_EQ(calls.size(), std::size_t(kThreads)) << text;
        for (const Json& call : calls) {
            EXPECT_EQ(call.at("rval"), depth);
            EXPECT_GE(call.at("lat_ns"), kNapNs);
        }
    }
}

// A 32-bit program with one function, traced32: an ELF header, the function, a symbol.
std::string program32()
{
    constexpr std::string_view kNames("\0.text\0.symtab\0.strtab\0traced32\0", 33);
    struct {
        Elf32_Ehdr header{};
        Elf32_Phdr segment{};
        unsigned char code[16]{0xc3};
        Elf32_Sym symbols[2]{};
        char names[36]{};
        Elf32_Shdr sections[4]{};
    } file;
    const auto at = [&](const void* member) {
        return Elf32_Word(static_cast<const char*>(member) - reinterpret_cast<const char*>(&file));
    };
    constexpr Elf32_Addr kBase = 0x8048000;
    const unsigned char ident[] = {ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
                                   ELFCLASS32, ELFDATA2LSB, EV_CURRENT};
    std::ranges::copy(ident, file.header.e_ident);
    file.header.e_type = ET_EXEC;
    file.header.e_machine = EM_386;
    file.header.e_version = EV_CURRENT;
    file.header.e_entry = kBase + at(file.code);
    file.header.e_phoff = at(&file.segment);
    file.header.e_shoff = at(file.sections);
    file.header.e_ehsize = sizeof file.header;
    file.header.e_phentsize = sizeof file.segment;
    file.header.e_phnum = 1;
    file.header.e_shentsize = sizeof file.sections[0];
    file.header.e_shnum = 4;
    file.header.e_shstrndx = 3;
    file.segment.p_type = PT_LOAD;
    file.segment.p_vaddr = kBase;
    file.segment.p_filesz = file.segment.p_memsz = sizeof file;
    file.segment.p_flags = PF_R | PF_X;
    std::ranges::copy(kNames, file.names);
    file.symbols[1].st_name = 23;
    file.symbols[1].st_value = kBase + at(file.code);
    file.symbols[1].st_size = sizeof file.code;
    file.symbols[1].st_info = ELF32_ST_INFO(STB_GLOBAL, STT_FUNC);
    file.symbols[1].st_shndx = 1;
    const auto section = [&](int n, Elf32_Word name, Elf32_Word type, Elf32_Word offset,
                             Elf32_Word size) {
        file.sections[n].sh_name = name;
        file.sections[n].sh_type = type;
        file.sections[n].sh_offset = offset;
        file.sections[n].sh_size = size;
    };
    section(1, 1, SHT_PROGBITS, at(file.code), sizeof file.code);
    file.sections[1].sh_addr = kBase + at(file.code);
    file.sections[1].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    section(2, 7, SHT_SYMTAB, at(file.symbols), sizeof file.symbols);
    file.sections[2].sh_link = 3;
    file.sections[2].sh_info = 1;
    file.sections[2].sh_entsize = sizeof(Elf32_Sym);
    section(3, 15, SHT_STRTAB, at(file.names), kNames.size());
    return std::string(reinterpret_cast<const char*>(&file), sizeof file);
}

// Returns and arguments of 32-bit code lie elsewhere: not a line would be right. Counting goes on.
TEST(Funcslower, A32BitProgramIsRefused)
{
    const TempDir dir;
    const std::string pattern = dir / "program32" + ":traced32";
    write_file(dir / "program32", program32());
    for (const std::string tool : {"funcslower", "funclatency"}) {
        const Result r = run({tool, "--check", pattern});
        EXPECT_EQ(r.status, 2) << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
        EXPECT_NE(r.err.find("32-bit"), std::string::npos) << r.err;
    }
    const Result count = run({"funccount", "--check", pattern});
    EXPECT_EQ(count.status, 0) << count.err;
}

// A stack without room: the call is shown, marked, and told as lost; once, whichever stack it is.
TEST(Funcslower, LostStacksAreCounted)
{
    constexpr int kDepth = 10;
    const std::string pattern = this_program() + ":traced_recursion";
    pid_t pid;
    for (const std::string stacks : {"-U", "-UK"}) {
        SCOPED_TRACE(stacks);
        const Result r = trace(
            {"-m", "0", stacks, "--stack-storage-size", "1", pattern}, {},
            [] { traced_recursion(kDepth); }, pid);
        EXPECT_EQ(r.status, 3) << r.err;
        ASSERT_EQ(r.records.size(), std::size_t(kDepth)) << r.out;
        const bool both = stacks == "-UK";
        const auto missed = count_if(r.records, [&](const Json& call) {
            return call.at("user").is_null() || (both && call.at("kernel").is_null());
        });
        EXPECT_GE(missed, std::size_t(kDepth - 2));
        EXPECT_LT(missed, std::size_t(kDepth)) << "one had room";
        EXPECT_EQ(r.account.at("lost_stack"), missed) << r.account;
        EXPECT_EQ(r.account.at("lost"), missed) << r.account;
        EXPECT_EQ(r.account.at("printed"), kDepth - missed);
        EXPECT_EQ(r.account.at("seen"), kDepth);
        EXPECT_NE(r.err.find("--stack-storage-size"), std::string::npos) << r.err;
    }
    for (const std::string format : {"-U", "-fU"}) {
        Child child([] { traced_recursion(kDepth); });
        Tracer text({"funcslower", "-m", "0", "-p", to_string(child.pid()), format,
                     "--stack-storage-size", "1", pattern});
        child.go_wait();
        const Result t = text.wait();
        std::size_t marks = 0;
        for (const std::string& line : lines(t.out))
            marks += line.find("[Missed User Stack]") != std::string::npos;
        EXPECT_GE(marks, std::size_t(kDepth - 2)) << t.out;
    }
}

TEST(Funcslower, FloodIsAccountedFor)
{
    constexpr int kCalls = 5'000;
    Child child([] {
        char byte;
        const int in = ::open("/dev/zero", O_RDONLY);
        for (int i = 0; i < kCalls; i++)
            if (::read(in, &byte, 1) != 1)
                throw std::runtime_error("read");
    });
    Tracer tracer(
        {"funcslower", "--json", "-u", "0", "-a", "6", "-p", to_string(child.pid()), "vfs_read"});
    child.go_wait();
    const Result r = tracer.wait();
    expect_exact_flood(r, r.records.size(), kCalls);
}

} // namespace
