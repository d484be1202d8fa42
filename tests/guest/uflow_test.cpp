// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userland.hpp"
#include <csignal>

namespace
{

using namespace corebox::test;
using std::to_string;

Result flow_of(const std::vector<std::string>& program, std::vector<std::string> tool,
               const Environment& env = {}, const Program::How& how = {})
{
    const Program p(program, how);
    p.wait_for("ready");
    tool.insert(tool.end(), {"--json", "-p", to_string(p.pid())});
    Tracer tracer(tool, env);
    p.say_line();
    p.say_line();
    return tracer.wait();
}

// "1>work" a call, "0<run" a return.
std::string show(const Json& r)
{
    return to_string(r.at("depth").get<int>()) + (r.at("event") == "call" ? ">" : "<") +
           r.at("method").get<std::string>();
}

std::string join(const Records& records, std::size_t first, std::size_t count)
{
    std::string out;
    for (std::size_t i = first; i < std::min(records.size(), first + count); i++)
        out += (out.empty() ? "" : " ") + show(records[i]);
    return out;
}

class UflowRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UflowRung, testing::Values("", "uprobe"), rung_name);

// begin() was called before the tool came, and returns while it watches; work() never returns.
TEST_P(UflowRung, DepthOfPerlSubs)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result result = flow_of({"perl", "/t/calls.pl"}, {"uflow"}, env());
    expect_exact(result);
    const Records& r = result.records;
    ASSERT_EQ(r.size(), 3 * 3 + 2 * 6 + 10 * 202 + 5u);
    EXPECT_EQ(join(r, 0, 9), "0>run 1>work 0<run 0>run 1>work 0<run 0>run 1>work 0<run");
    EXPECT_EQ(join(r, 9, 12), "0>fact 1>fact 2>fact 3>fact 4>fact 5>fact "
                              "5<fact 4<fact 3<fact 2<fact 1<fact 0<fact");
    EXPECT_EQ(join(r, 21, 4), "0>mid 1>leaf 1<leaf 1>leaf");
    EXPECT_EQ(show(r[r.size() - 6]), "0<mid");
    EXPECT_EQ(show(r.back()), "0>blessed");
    EXPECT_EQ(r[0].at("class"), "Job");
    EXPECT_GE(r[2].at("duration_ns"), 7'000'000);
    EXPECT_TRUE(r[0].at("duration_ns").is_null());
    EXPECT_EQ(result.account.at("filtered"), 1); // the return of begin()
}

TEST(Uflow, FiltersAndOtherLanguages)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    Result result = flow_of({"python3", "/t/calls.py"}, {"pythonflow", "-M", "f"});
    expect_exact(result);
    EXPECT_EQ(join(result.records, 0, 18), "0>fact 1>fact 2>fact 3>fact 4>fact 5>fact "
                                           "5<fact 4<fact 3<fact 2<fact 1<fact 0<fact "
                                           "0>fail 0<fail 0>fail 0<fail 0>fail 0<fail");
    EXPECT_EQ(result.records.size(), 18u);
    EXPECT_GE(result.account.at("filtered"), 2020);

    const Program::How how{.env = {{"USE_ZEND_DTRACE", "1"}}};
    result = flow_of({"php", "-n", "/t/calls.php"}, {"uflow", "-C", "Job"}, {}, how);
    expect_exact(result);
    EXPECT_EQ(join(result.records, 0, 2), "0>mid 0<mid");
    EXPECT_EQ(result.records.size(), 20u);

    result = flow_of({"tclsh", "/t/calls.tcl"}, {"uflow"});
    expect_exact(result);
    EXPECT_NE(result.err.find("returns are not shown"), std::string::npos) << result.err;
    EXPECT_EQ(result.records.size(), 1010u);
    EXPECT_EQ(join(result.records, 0, 3), "0>mid 1>leaf 1>leaf");
    EXPECT_EQ(show(result.records[101]), "0>mid");
}

// The tool does not read while the program calls.
TEST(Uflow, Flood)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Program p({"perl", "/t/calls.pl"});
    p.wait_for("ready");
    Tracer tracer({"uflow", "--json", "--buffer-size", "16", "-p", to_string(p.pid())});
    tracer.kill(SIGSTOP);
    p.say_line();
    p.wait_for("1000");
    tracer.kill(SIGCONT);
    const Result result = tracer.stop();
    EXPECT_EQ(result.status, 3) << result.err;
    EXPECT_EQ(result.account.at("seen"), 3 * 3 + 2 * 6 + 10 * 202 + 5 + 1);
    EXPECT_EQ(result.account.at("printed"), result.records.size());
    EXPECT_GT(result.account.at("lost"), 0);
}

TEST(Uflow, TextAndBadInput)
{
    for (const auto& [arguments, status, why] :
         std::vector<std::tuple<std::vector<std::string>, int, std::string>>{
             {{}, 1, "missing --language"},
             {{"-l", "perl", "-M", std::string(64, 'x')}, 1, "63 bytes"},
             {{"-l", "node"}, 2, "no probes at calls"},
         }) {
        std::vector<std::string> argv = {"uflow"};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        const Result result = run(argv);
        EXPECT_EQ(result.status, status) << result.err;
        EXPECT_NE(result.err.find(why), std::string::npos) << result.err;
    }
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Program p({"perl", "/t/calls.pl"});
    p.wait_for("ready");
    Tracer tracer({"perlflow", "--count", "5", to_string(p.pid())});
    p.say_line();
    const auto text = lines(tracer.wait().out);
    ASSERT_EQ(text.size(), 6u);
    EXPECT_EQ(words(text[0]),
              (std::vector<std::string>{"CPU", "PID", "TID", "TIME(us)", "METHOD"}));
    const auto method = [&](std::size_t line) { return text[line].substr(text[0].find("METHOD")); };
    EXPECT_EQ(method(1), "-> Job.run");
    EXPECT_EQ(method(2), "  -> Job.work");
    EXPECT_EQ(method(3), "<- Job.run");
}

} // namespace
