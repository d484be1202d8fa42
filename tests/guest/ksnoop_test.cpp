// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What ksnoop shows of calls that a process made: arguments whole and by members, results,
// conditions of both, calls within each other.
#include "harness.hpp"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

Records of(const Result& r, const std::string& function, const std::string& event)
{
    return with(with(r.records, "function", function), "event", event);
}

TEST(Ksnoop, EntriesAndReturns)
{
    TempDir dir;
    write_file(dir / "there", "0123456789");
    const std::string there = dir / "there", missing = dir / "missing";
    for (const std::string rung : {"", "kprobe"}) {
        SCOPED_TRACE(rung);
        const Result r = watch(
            "ksnoop",
            {"vfs_read(file->f_path.dentry->d_name.name, count == 7, pos, return)",
             "do_sys_openat2(dfd, filename, return < 0)", "security_socket_connect",
             "security_socket_create(family, family == 1 || protocol == 17)"},
            [&] {
                char buffer[64];
                const int fd = ::open(there.c_str(), O_RDONLY);
                EXPECT_EQ(::open(missing.c_str(), O_RDONLY), -1);
                EXPECT_EQ(::read(fd, buffer, 7), 7);
                EXPECT_EQ(::read(fd, buffer, 8), 3); // another size
                const int s = ::socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
                sockaddr_in to{
                    .sin_family = AF_INET, .sin_port = htons(53), .sin_addr = {}, .sin_zero = {}};
                to.sin_addr.s_addr = htonl(0x7f010203);
                EXPECT_EQ(::connect(s, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
                ::close(::socket(AF_INET, SOCK_STREAM, 0)); // another protocol
            },
            {.env = forced(rung), .others_too = true});
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        ASSERT_EQ(r.records.size(), 7u) << r.out << r.err;
        const Records reads = of(r, "vfs_read", "entry"), read = of(r, "vfs_read", "return");
        ASSERT_EQ(reads.size(), 1u) << r.out;
        const Json& args = reads[0].at("args");
        EXPECT_EQ(args.at("file->f_path.dentry->d_name.name"), "there");
        EXPECT_EQ(args.at("count"), 7);
        EXPECT_EQ(args.at("pos"), 0); // what it points to
        EXPECT_TRUE(std::string(reads[0].at("pointers").at("pos")).starts_with("0xffff"))
            << reads[0];
        ASSERT_EQ(read.size(), 1u) << r.out;
        EXPECT_EQ(read[0].at("args"), (Json{{"return", 7}}));
        EXPECT_GT(read[0].at("lat_us"), 0);
        // An entry is shown with its return only, which failed.
        const Records opens = of(r, "do_sys_openat2", "entry");
        ASSERT_EQ(opens.size(), 1u) << r.out;
        EXPECT_EQ(opens[0].at("args"), (Json{{"dfd", AT_FDCWD}, {"filename", missing}}));
        EXPECT_EQ(of(r, "do_sys_openat2", "return").at(0).at("args"), (Json{{"return", -2}}));
        // Whole, without a list of what is asked for.
        const Records connects = of(r, "security_socket_connect", "entry");
        ASSERT_EQ(connects.size(), 1u) << r.out;
        EXPECT_EQ(connects[0].at("args").at("address").at("sa_family"), AF_INET);
        EXPECT_EQ(connects[0].at("args").at("sock").at("type"), SOCK_DGRAM);
        EXPECT_EQ(connects[0].at("args").at("addrlen"), 16);
        EXPECT_EQ(of(r, "security_socket_connect", "return").at(0).at("args"),
                  (Json{{"return", 0}}));
        const Records creates = of(r, "security_socket_create", "entry");
        ASSERT_EQ(creates.size(), 1u) << r.out;
        EXPECT_EQ(creates[0].at("args"), (Json{{"family", AF_INET}}));
        // Two opens that succeed less one (of both sides), one read, one socket.
        EXPECT_GE(r.account.at("filtered"), 4);
    }
}

// Only calls of the second function within the first one; all before it are shown once it is
// called.
TEST(Ksnoop, Stack)
{
    TempDir dir;
    write_file(dir / "f", "0123456789");
    const std::string outer = system_call("pread64");
    const Result r = watch("ksnoop", {"-s", outer + "(arg3)", "vfs_read(count, return)"}, [&] {
        char buffer[64];
        const int fd = ::open((dir / "f").c_str(), O_RDONLY);
        EXPECT_EQ(::read(fd, buffer, 5), 5);      // by another function
        EXPECT_EQ(::pread(-1, buffer, 6, 0), -1); // does not come to vfs_read()
        EXPECT_EQ(::pread(fd, buffer, 4, 3), 4);
    });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 3u) << r.out << r.err;
    EXPECT_EQ(r.records[0].at("args"), (Json{{"arg3", 4}}));
    EXPECT_EQ(r.records[1].at("args"), (Json{{"count", 4}}));
    EXPECT_EQ(r.records[2].at("args"), (Json{{"return", 4}}));
    EXPECT_GE(r.account.at("filtered"), 2);
}

// The form of text, and functions of a module.
TEST(Ksnoop, TextAndModules)
{
    TempDir dir("/mnt/xfs");
    write_file(dir / "f", "12345");
    Child child([&] {
        const int fd = ::open((dir / "f").c_str(), O_RDONLY);
        EXPECT_EQ(::close(fd), 0);
    });
    const std::string pid = to_string(child.pid());
    const bool typed = has_module_types("xfs");
    Tracer tool({"ksnoop", "-p", pid, "vfs_open(path, file->f_flags, return)",
                 typed ? "xfs_file_open" : "xfs_file_open(arg1, return)"});
    child.go_wait();
    const Result r = tool.stop();
    EXPECT_EQ(r.status, 0) << r.err;
    const auto all = lines(r.out);
    ASSERT_GE(all.size(), 12u) << r.out << r.err;
    EXPECT_EQ(words(all[0]), (std::vector<std::string>{"TIME", "CPU", "PID", "FUNCTION/ARGS"}));
    EXPECT_TRUE(all[1].ends_with(" vfs_open(")) << r.out;
    EXPECT_TRUE(all[2].starts_with(std::string(35, ' ') + "path = *(0xffff")) << r.out;
    EXPECT_TRUE(all[2].ends_with(") {")) << r.out;
    EXPECT_TRUE(all[3].starts_with(std::string(37, ' ') + ".mnt = 0xffff")) << r.out;
    const std::string flags = std::string(35, ' ') + "file->f_flags = ";
    EXPECT_NE(r.out.find(flags), r.out.npos) << r.out;
    EXPECT_NE(r.out.find(" xfs_file_open(\n"), r.out.npos) << r.out;
    EXPECT_NE(r.out.find(std::string(35, ' ') + "return = 0\n" + std::string(35, ' ') + ");\n"),
              r.out.npos)
        << r.out;
    if (typed)
        EXPECT_NE(r.out.find(".i_size = 5\n"), r.out.npos) << r.out;

    const Result info = run({"ksnoop", "info", "vfs_open", "vfs_read(file->f_path, pos)"});
    EXPECT_EQ(info.status, 0) << info.err;
    EXPECT_TRUE(info.out.starts_with("int vfs_open(struct path *path, struct file *file);\n"))
        << info.out;
    EXPECT_NE(info.out.find("    struct dentry *dentry;                          /* 8 */\n"),
              info.out.npos);
    EXPECT_NE(info.out.find("ssize_t vfs_read(struct file *file, "), info.out.npos) << info.out;

    const auto refused = [](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "ksnoop");
        const Result no = run(arguments);
        EXPECT_NE(no.status, 0) << no.out << no.err;
        return no.err;
    };
    EXPECT_NE(refused({"vfs_read(file->f_nothing)"}).find("no member 'f_nothing'"), info.out.npos);
    EXPECT_NE(refused({"vfs_read(count", "vfs_open"}).find("without an end"), info.out.npos);
    refused({"-s", "vfs_read"});
    refused({"info", "no_such_function"});
    refused({});
}

} // namespace
