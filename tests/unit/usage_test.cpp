// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What every tool says before it asks anything of the kernel: help, version, schema, and what is
// wrong with a command line. The program itself is run, by a user who may load nothing.
#include "base/fd.hpp"
#include "base/text.hpp"
#include "tool/tool.hpp"
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

using namespace corebox;
using Json = nlohmann::json;

struct Result {
    int status;
    std::string out, err;
};

std::string text_of(const Fd& file)
{
    std::string text(std::size_t(::lseek(file.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(file.get(), text.data(), text.size(), 0), ssize_t(text.size()));
    return text;
}

// The directory above this program, where corebox is.
std::string build_directory()
{
    char self[4096] = {};
    EXPECT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
    return std::filesystem::path(self).parent_path().parent_path();
}

// Runs corebox to its end.
Result run(std::vector<std::string> argv, const char* standard_output = nullptr)
{
    const std::string path = build_directory() + "/corebox";
    argv.insert(argv.begin(), "corebox");
    std::vector<char*> words;
    for (std::string& word : argv)
        words.push_back(word.data());
    words.push_back(nullptr);

    const Fd program(
        ::open(path.c_str(), O_RDONLY | O_CLOEXEC)); // nobody may be kept from its path
    const Fd out(::memfd_create("out", MFD_CLOEXEC)), err(::memfd_create("err", MFD_CLOEXEC));
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(standard_output ? ::open(standard_output, O_WRONLY) : out.get(), 1);
        ::dup2(err.get(), 2);
        if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0))
            ::_exit(126);
        ::alarm(20);
        ::fexecve(program.get(), words.data(), environ);
        ::_exit(127);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(out),
            text_of(err)};
}

void expect_one_line(const Result& result, int status, std::string_view part)
{
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
    EXPECT_THAT(result.err, testing::EndsWith("\n"));
    EXPECT_THAT(result.err, testing::HasSubstr(std::string(part)));
    EXPECT_EQ(result.out, "");
}

class Usage : public testing::TestWithParam<const Tool*>
{
protected:
    std::string name() const { return std::string(GetParam()->about.name); }
};

INSTANTIATE_TEST_SUITE_P(Tools, Usage, testing::ValuesIn(all_tools()), [](const auto& info) {
    std::string name(info.param->about.name);
    std::ranges::replace(name, '-', '_');
    return name;
});

TEST_P(Usage, TellsItsSchema)
{
    const Result result = run({name(), "--schema"});
    EXPECT_EQ(result.status, 0) << result.err;
    const Json schema = Json::parse(result.out, nullptr, false);
    ASSERT_TRUE(schema.is_object()) << result.out;
    EXPECT_EQ(schema.at("name"), name());
    std::set<std::string> options, letters;
    for (const Json& option : schema.at("options")) {
        EXPECT_TRUE(options.insert(option.at("name")).second) << option;
        for (const std::string other : option.value("aliases", Json::array()))
            EXPECT_TRUE(options.insert(other).second) << option;
        for (const std::string letter : option.value("letters", Json::array()))
            EXPECT_TRUE(letters.insert(letter).second) << option;
    }
    for (const char* common :
         {"check", "schema", "json", "csv", "columns", "duration", "count", "utc", "explain",
          "ready-fd", "debug", "verbose", "version", "help", "usage"})
        EXPECT_TRUE(options.contains(common)) << common;
    // One that has but one histogram has no keys to show.
    EXPECT_TRUE(!schema.at("columns").empty() || has(GetParam()->shared, Shared::interval));
}

TEST_P(Usage, HelpsAndTellsItsVersion)
{
    const bool h_is_help =
        run({name(), "--schema"}).out.find(R"("name":"help","letters":["h","?"])") !=
        std::string::npos;
    for (const std::string option : {"--help", "-h", "-?", "--usage", "--version"}) {
        if (option == "-h" && !h_is_help) // a letter may be the tool's own
            continue;
        const Result result = run({name(), option});
        EXPECT_EQ(result.status, 0) << option;
        EXPECT_NE(result.out, "") << option;
        EXPECT_EQ(result.err, "") << option;
        EXPECT_EQ(run({name(), option}, "/dev/full").status, 4) << option;
    }
    const std::string help = run({name(), "--help"}).out;
    EXPECT_THAT(help, testing::HasSubstr("--schema"));
    for (const std::string_view line : split(help, '\n'))
        EXPECT_LE(line.size(), 110u) << line;
}

TEST_P(Usage, RefusesWhatIsWrong)
{
    // Where BCC has another meaning for the kit's name, the kit's is under its other name.
    const Json schema = Json::parse(run({name(), "--schema"}).out);
    const auto spelled = [&](const std::string& option, const std::string& other) {
        return "--" + (std::ranges::any_of(schema.at("options"),
                                           [&](const Json& o) {
                                               return o.at("name") == option &&
                                                      o.at("group") == "common";
                                           })
                           ? option
                           : other);
    };
    const std::string duration = spelled("duration", "run-time"), count = spelled("count", "limit"),
                      csv = spelled("csv", "table-csv");
    expect_one_line(run({name(), "--nonsense"}), 1, "--nonsense");
    expect_one_line(run({name(), duration, "0"}), 1, duration.substr(2));
    expect_one_line(run({name(), duration, "x"}), 1, duration.substr(2));
    expect_one_line(run({name(), duration}), 1, duration.substr(2));
    expect_one_line(run({name(), duration, "-1"}), 1, duration.substr(2));
    expect_one_line(run({name(), count, "0"}), 1, count.substr(2));
    expect_one_line(run({name(), "--columns", "no-such-column"}), 1, "no-such-column");
    expect_one_line(run({name(), "--json", csv}), 1, csv);
    if (GetParam()->positionals.empty() || !GetParam()->positionals.back().repeats)
        expect_one_line(run({name(), "1", "2", "3", "surplus"}), 1, "");
    if (GetParam()->positionals.empty() && has(GetParam()->shared, Shared::interval)) {
        expect_one_line(run({name(), "0"}), 1, "INTERVAL");
        expect_one_line(run({name(), "1", "0"}), 1, "COUNT");
        expect_one_line(run({name(), "1x"}), 1, "INTERVAL");
    }
}

struct Directory {
    std::string path = "/tmp/usage_test.XXXXXX";
    Directory()
    {
        EXPECT_NE(::mkdtemp(path.data()), nullptr);
        EXPECT_EQ(::chmod(path.c_str(), 0777), 0);
    }
    Directory(const Directory&) = delete;
    ~Directory() { std::filesystem::remove_all(path); }
    bool is_link(const std::string& name) const
    {
        return std::filesystem::is_symlink(path + "/" + name);
    }
};

TEST(Install, MakesWhatCanBeMadeAndNamesTheRest)
{
    const Directory directory;
    std::ofstream(directory.path + "/biosnoop") << "somebody's\n";
    std::ofstream(directory.path + "/runqlat") << "somebody's\n";
    ASSERT_EQ(::symlink("/elsewhere", (directory.path + "/opensnoop").c_str()), 0);
    ASSERT_EQ(::lchown((directory.path + "/opensnoop").c_str(), 65534, 65534), 0);
    const Result result = run({"--install", directory.path});
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.err, "corebox: cannot make the link " + directory.path +
                              "/biosnoop: File exists; run: rm " + directory.path +
                              "/biosnoop\ncorebox: cannot make the link " + directory.path +
                              "/runqlat: File exists; run: rm " + directory.path + "/runqlat\n");
    for (const Tool* tool : all_tools()) {
        const std::string name(tool->about.name);
        EXPECT_EQ(directory.is_link(name), name != "biosnoop" && name != "runqlat") << name;
        for (const Alias& alias : tool->about.aliases)
            EXPECT_TRUE(directory.is_link(std::string(alias.name))) << alias.name;
    }
    EXPECT_THAT(std::filesystem::read_symlink(directory.path + "/opensnoop").string(),
                testing::EndsWith("/corebox"));

    std::filesystem::remove(directory.path + "/biosnoop");
    std::filesystem::remove(directory.path + "/runqlat");
    EXPECT_EQ(run({"--install", directory.path}).status, 0);
    expect_one_line(run({"--install", "/no/such"}), 2, "mkdir -p /no/such");
    expect_one_line(run({"--install", "/etc/hosts"}), 2, "Not a directory");
    expect_one_line(run({"--install"}), 1, "missing DIRECTORY");
}

// Spellings of BCC whose meaning is not the kit's, up to the load that a user may not do.
TEST(Bcc, Spellings)
{
    const std::vector<std::string> taken[] = {
        {"exitsnoop", "--label", "foo"},
        {"hardirqs", "--count", "1", "5"},
        {"softirqs", "--count", "1", "5"},
        {"virtiostat", "--debug"},
        {"virtiostat", "-D"},
        {"kvmexit", "--debug"},
        {"syscount", "-i", "0"},
        {"criticalstat", "--duration", "500"},
        {"cpuunclaimed", "--csv"},
        {"ext4slower", "-j"},
        {"f2fsslower", "-s"},
        {"capable", "--verbose"},
        {"stackcount", "--debug", "vfs_read"},
        {"biolatpcts", "--verbose"},
    };
    for (auto argv : taken)
        EXPECT_EQ(run(argv).status, 2) << testing::PrintToString(argv) << run(argv).err;
    EXPECT_EQ(run({"bpflist", "--verbosity", "--json"}).status, 0);
    expect_one_line(run({"cpuunclaimed", "--csv", "1"}), 1, "--table-csv");
    expect_one_line(run({"criticalstat", "--run-time", "0"}), 1, "--run-time");
    expect_one_line(run({"hardirqs", "--count=5"}), 1, "--events takes no value");
}

// Commands that the tools accept, columns that they have. `make examples` runs them.
TEST(Examples, OfThePagesAreUpToDate)
{
    ::setenv("COREBOX_BUILD", build_directory().c_str(), 1);
    std::FILE* const check = ::popen(SOURCE_DIR "/scripts/examples --check 2>&1", "r");
    ASSERT_TRUE(check);
    std::string findings;
    for (int c; (c = std::fgetc(check)) != EOF;)
        findings += char(c);
    EXPECT_EQ(::pclose(check), 0);
    EXPECT_EQ(findings, "");
    ::unsetenv("COREBOX_BUILD");
}

} // namespace
