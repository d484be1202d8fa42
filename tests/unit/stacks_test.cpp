// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The shape "stacks": how counted stacks become text, rows and files.
#include "base/error.hpp"
#include "base/text.hpp"
#include "output/replace_file.hpp"
#include "session/perf.hpp"
#include "shape/event_stacks.hpp"
#include "shape/stacks.hpp"
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace corebox
{
namespace
{

Frames frames(std::vector<std::string_view> names, FrameKind kind)
{
    const std::size_t n = names.size();
    return {.state = Frames::State::there,
            .names = std::move(names),
            .kinds = std::vector<FrameKind>(n, kind),
            .details = {}};
}
Frames missing(Frames::State state)
{
    return {.state = state, .names = {}, .kinds = {}, .details = {}};
}

const Frames kKernel = frames({"read_zero", "vfs_read"}, FrameKind::kernel);
const Frames kUser = frames({"leaf", "main"}, FrameKind::user);
const Frames kNone = missing(Frames::State::none);
const Frames kLost = missing(Frames::State::lost);
const StackUnit kCount{};

std::string block(const StackRow& row, const StackOptions& options = {},
                  const StackUnit& unit = kCount)
{
    std::string out;
    append_block(out, row, options, unit);
    return out;
}

std::string folded(const StackRow& row, const StackOptions& options = {})
{
    std::string out;
    append_folded(out, row, options, kCount);
    return out;
}

TEST(Stacks, Block)
{
    const StackRow row{
        .comm = "dd", .pid = 7, .tid = 9, .events = 12, .kernel = &kKernel, .user = &kUser};
    EXPECT_EQ(block(row), "    read_zero\n    vfs_read\n    leaf\n    main\n"
                          "    -                dd (7)\n        12\n\n");
    EXPECT_EQ(block(row, {.delimited = true, .annotations = true, .threads = true}),
              "    read_zero_[k]\n    vfs_read_[k]\n    --\n    leaf\n    main\n"
              "    -                dd (7/9)\n        12\n\n");
}

TEST(Stacks, BlockOfWhatIsMissing)
{
    StackRow row{.comm = "dd", .pid = 7, .events = 1, .kernel = &kLost, .user = &kNone};
    EXPECT_EQ(block(row, {.delimited = true}),
              "    [Missed Kernel Stack]\n    -                dd (7)\n        1\n\n");
    row.kernel = &kNone;
    row.user = &kLost;
    EXPECT_EQ(block(row), "    [Missed User Stack]\n    -                dd (7)\n        1\n\n");
}

TEST(Stacks, BlockOfATotal)
{
    const StackRow row{
        .comm = "dd", .pid = 7, .events = 2, .total = 5999, .kernel = &kNone, .user = &kNone};
    EXPECT_EQ(block(row, {}, {.name = "us", .total = true, .divisor = 1000}),
              "    -                dd (7)\n        5\n\n");
}

TEST(Stacks, HostileNamesStayInTheirLine)
{
    const Frames evil = frames({"a\n    -   x (1)", "\x1b[2J", "b;c"}, FrameKind::user);
    const StackRow row{.comm = "x\ny;z", .pid = 7, .events = 1, .kernel = &kNone, .user = &evil};
    EXPECT_EQ(block(row), "    a\\n    -   x (1)\n    \\x1b[2J\n    b;c\n"
                          "    -                x\\ny;z (7)\n        1\n\n");
    EXPECT_EQ(folded(row), "x\\ny:z;b:c;\\x1b[2J;a\\n    -   x (1) 1\n");
}

TEST(Stacks, Folded)
{
    StackRow row{
        .comm = "dd", .pid = 7, .tid = 9, .events = 12, .kernel = &kKernel, .user = &kUser};
    EXPECT_EQ(folded(row), "dd;main;leaf;vfs_read;read_zero 12\n");
    EXPECT_EQ(folded(row, {.delimited = true, .annotations = true}),
              "dd;main;leaf;-;vfs_read_[k];read_zero_[k] 12\n");
    EXPECT_EQ(folded(row, {.threads = true}), "dd-7/9;main;leaf;vfs_read;read_zero 12\n");
    row.kernel = &kNone;
    EXPECT_EQ(folded(row, {.delimited = true}), "dd;main;leaf 12\n");
    row.user = &kLost;
    EXPECT_EQ(folded(row), "dd;[Missed User Stack] 12\n");
}

TEST(Stacks, MergeJoinsWhatReadsTheSame)
{
    // Two stacks that differ in addresses only, and one of another process.
    const Frames same = frames({"leaf", "main"}, FrameKind::user);
    std::vector<StackRow> rows{
        {.comm = "a", .pid = 1, .events = 4, .total = 40, .kernel = &kNone, .user = &kUser},
        {.comm = "a", .pid = 1, .events = 1, .total = 1, .kernel = &kNone, .user = &kNone},
        {.comm = "a", .pid = 2, .events = 2, .total = 90, .kernel = &kNone, .user = &kUser},
        {.comm = "a", .pid = 1, .events = 5, .total = 2, .kernel = &kNone, .user = &same},
        {.comm = "a", .pid = 1, .events = 1, .total = 1, .kernel = &kNone, .user = &kLost},
    };
    auto by_count = rows;
    merge_stacks(by_count, kCount);
    ASSERT_EQ(by_count.size(), 4u);
    EXPECT_EQ(by_count.back().events, 9u);
    EXPECT_EQ(by_count.back().total, 42u);
    for (std::size_t i = 1; i < by_count.size(); i++)
        EXPECT_LE(by_count[i - 1].events, by_count[i].events);
    merge_stacks(rows, {.total = true});
    EXPECT_EQ(rows.back().pid, 2u);
}

constexpr Column kColumns[] = {stack_column::comm, stack_column::user, stack_column::kernel};

std::string printed(Format format, const StackRow& row)
{
    const int fd = ::memfd_create("out", MFD_CLOEXEC);
    OutputOptions options;
    options.format = format;
    options.fd = fd;
    Output output(options, kColumns);
    output.row(&row);
    output.flush();
    char text[1000];
    const ssize_t n = ::pread(fd, text, sizeof text, 0);
    ::close(fd);
    return {text, std::size_t(std::max<ssize_t>(n, 0))};
}

TEST(Stacks, Rows)
{
    const Frames evil = frames({"a\"b\\", "\xff"}, FrameKind::user);
    const auto json = [](const StackRow& row) {
        return nlohmann::json::parse(printed(Format::json, row));
    };
    const StackRow row{.comm = "dd", .kernel = &kKernel, .user = &evil};
    EXPECT_EQ(json(row)["kernel"], (std::vector<std::string>{"read_zero", "vfs_read"}));
    EXPECT_EQ(json(row)["user"], (std::vector<std::string>{"a\"b\\", "\ufffd"}));
    EXPECT_EQ(json({.kernel = &kNone, .user = &kLost})["user"], nlohmann::json());
    EXPECT_EQ(json({.kernel = &kNone, .user = &kLost})["kernel"], nlohmann::json::array());
    EXPECT_EQ(printed(Format::csv, {.comm = "dd", .kernel = &kKernel, .user = &kUser}),
              "dd,leaf;main,read_zero;vfs_read\n");
}

TEST(Stacks, ImageIsWhatTheProcessIs)
{
    const std::uint32_t self = ImageSymbols::image(std::uint32_t(::getpid()));
    EXPECT_NE(self, 0u);
    // A child is the same program until it executes one.
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(pipe[1]);
        char byte;
        ::_exit(::read(pipe[0], &byte, 1) == 0 ? 0 : 1);
    }
    EXPECT_EQ(ImageSymbols::image(std::uint32_t(child)), self);
    ::close(pipe[0]);
    ::close(pipe[1]);
    ::waitpid(child, nullptr, 0);
    EXPECT_EQ(ImageSymbols::image(0x7fffffff), 0u);
}

extern "C" [[gnu::noinline]] int stacks_test_function() { return 42; }

TEST(Stacks, NamesOnlyFromTheRightImage)
{
    ImageSymbols symbols;
    const auto pid = std::uint32_t(::getpid());
    const std::uint32_t image = ImageSymbols::image(pid);
    const auto address = reinterpret_cast<std::uint64_t>(&stacks_test_function);
    EXPECT_EQ(symbols.lookup({pid, image}, address, At::instruction).name, "stacks_test_function");
    EXPECT_EQ(symbols.lookup({pid, image ^ 1}, address, At::instruction).name, "[unknown]");
    // Not so soon again: within a tenth of a second, which a starved machine may exceed.
    bool again = true;
    for (int i = 0; again && i < 20; i++) {
        symbols.note({pid, image});
        again = symbols.note({pid, image});
    }
    EXPECT_FALSE(again);
    EXPECT_TRUE(symbols.note({pid, image ^ 2})) << "that is over";
}

TEST(Stacks, NamesWhatWasMappedSinceTheLastLook)
{
    ImageSymbols symbols;
    const auto pid = std::uint32_t(::getpid());
    const stack_task task{pid, ImageSymbols::image(pid)};
    const auto known = reinterpret_cast<std::uint64_t>(&stacks_test_function);
    EXPECT_EQ(symbols.lookup(task, known, At::instruction).name, "stacks_test_function");
    const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    void* const library = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    ::close(fd);
    ASSERT_NE(library, MAP_FAILED);
    const auto address = reinterpret_cast<std::uint64_t>(library);
    EXPECT_FALSE(symbols.lookup(task, address, At::instruction).object.empty());
    ::munmap(library, 4096);
    // Of another program nothing is taken.
    EXPECT_TRUE(symbols.lookup({pid, task.image ^ 1}, known, At::instruction).object.empty());
}

// A record that ends where memory does.
TEST(EventStacks, ReadsNoFartherThanTheRecord)
{
    constexpr std::size_t kPage = 4096;
    char* const memory = static_cast<char*>(
        ::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(memory, MAP_FAILED);
    ASSERT_EQ(::mprotect(memory + kPage, kPage, PROT_NONE), 0);
    event_stacks whole{};
    whole.image = ImageSymbols::image(std::uint32_t(::getpid()));
    whole.user_len = sizeof(__u64);
    whole.addresses[0] = reinterpret_cast<std::uint64_t>(&stacks_test_function);
    constexpr std::size_t kWhole = offsetof(event_stacks, addresses) + sizeof(__u64);
    EventStacks stacks;
    const auto take = [&](std::size_t size, std::size_t at) {
        auto* const record = memory + kPage - size;
        std::memcpy(record + std::min(at, size), &whole,
                    std::min(kWhole, size - std::min(at, size)));
        return stacks.take({reinterpret_cast<const std::byte*>(record), size}, at,
                           std::uint32_t(::getpid()));
    };
    for (std::size_t at : {0u, 4u, 12u}) {
        EXPECT_TRUE(take(at + kWhole, at));
        EXPECT_EQ(stacks.addresses().size(), 1u);
        for (std::size_t size = 0; size < at + kWhole; size++) {
            EXPECT_FALSE(take(size, at)) << size << " bytes, stacks at " << at;
            EXPECT_TRUE(stacks.addresses().empty());
        }
    }
    EXPECT_FALSE(take(kWhole, std::size_t(-8)));
    ::munmap(memory, 2 * kPage);
}

struct First {
    int a;
    std::string b;
};
struct Second {
    bool c;
};
struct Both : First, Second {
};
static_assert(BeginsWith<Both, First> && !BeginsWith<Both, Second> && BeginsWith<Both, Both>);

class ReplaceFile : public testing::Test
{
protected:
    ReplaceFile()
    {
        char name[] = "/tmp/stacks_test.XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~ReplaceFile() override { std::filesystem::remove_all(directory_); }

    static Exit status(const std::string& path)
    try {
        replace_file(path, "new");
        return Exit::complete;
    } catch (const Failure& failure) {
        EXPECT_NE(failure.message.find(path), std::string::npos) << failure.message;
        return failure.status;
    }
    std::size_t files() const
    {
        return std::size_t(std::distance(std::filesystem::directory_iterator(directory_), {}));
    }

    std::string directory_;
};

TEST_F(ReplaceFile, NewAndOld)
{
    const std::string path = directory_ + "/x";
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(status(path), Exit::complete);
        EXPECT_EQ(read_file(path), "new");
        EXPECT_EQ(files(), 1u);
    }
    struct stat st {
    };
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    EXPECT_EQ(st.st_mode & 0777, 0666 & ~mask);
}

TEST_F(ReplaceFile, LinksStayLinks)
{
    ASSERT_EQ(::symlink((directory_ + "/target").c_str(), (directory_ + "/link").c_str()), 0);
    ASSERT_EQ(::close(::open((directory_ + "/target").c_str(), O_CREAT | O_WRONLY, 0600)), 0);
    EXPECT_EQ(status(directory_ + "/link"), Exit::complete);
    EXPECT_TRUE(std::filesystem::is_symlink(directory_ + "/link"));
    EXPECT_EQ(read_file(directory_ + "/target"), "new");
}

TEST_F(ReplaceFile, WhatIsNoFile)
{
    EXPECT_EQ(status("/dev/full"), Exit::output);
    EXPECT_EQ(status("/dev/null"), Exit::complete);
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
    EXPECT_EQ(status(directory_), Exit::output);
    EXPECT_EQ(status(directory_ + "/no/x"), Exit::output);
    EXPECT_EQ(files(), 0u);
}

TEST(Perf, CpuLists)
{
    using List = std::vector<std::uint32_t>;
    EXPECT_EQ(parse_cpu_list("0\n"), List{0});
    EXPECT_EQ(parse_cpu_list("0-3,5\n"), (List{0, 1, 2, 3, 5}));
    EXPECT_EQ(parse_cpu_list(""), List{});
    for (const char* bad : {"x", "1-", "-1", "3-1", "0-99999999999", "0-70000", "1;2"})
        EXPECT_EQ(parse_cpu_list(bad), std::nullopt) << bad;
}

TEST(Perf, CyclesNeedACounter)
{
    EXPECT_FALSE(no_cycles(recorded_facts("perf_event cycles\n")));
    EXPECT_TRUE(no_cycles(recorded_facts("btf\n")));
    EXPECT_FALSE(no_cycles(Facts{})) << "not known: try";
}

} // namespace
} // namespace corebox
