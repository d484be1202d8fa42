// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The programs tests/userland/gc.*: each writes "ready", and does what its first lines say once it
// gets a line.
#pragma once
#include "userland.hpp"

namespace corebox::test
{

inline const std::vector<std::string> kGcPython{"/usr/bin/python3", "/t/gc.py"};
inline const std::vector<std::string> kGcRuby{"/usr/bin/ruby", "--disable=gems", "/t/gc.rb"};
inline const std::vector<std::string> kGcPhp{"/usr/bin/php", "-n", "/t/gc.php"};
inline const std::vector<std::string> kGcNode{"/usr/bin/node", "--expose-gc", "/t/gc.js"};

// The JVM sizes its heap by the guest's memory. One that only interprets and compiles once starts
// fastest.
inline std::vector<std::string> gc_java(const std::vector<std::string>& flags = {})
{
    std::vector<std::string> argv{"/usr/bin/java", "-Xms32m",          "-Xmx32m",
                                  "-Xmn8m",        "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    argv.insert(argv.end(), {"-cp", "/classes", "Gc"});
    return argv;
}

// Traces the program by `tool`, which begins with the tool's name, with -p and --json, from its
// line to its end. `out`: takes what the program wrote.
inline Result watch_program(const std::vector<std::string>& argv, std::vector<std::string> tool,
                            const Environment& env = {}, std::string* out = nullptr)
{
    const Program program(argv);
    program.wait_for("ready");
    tool.insert(tool.end(), {"--json", "-p", std::to_string(program.pid())});
    Tracer tracer(tool, env);
    program.say_line();
    Result result = tracer.wait();
    if (out)
        *out = program.out();
    return result;
}

// A tool that refuses a program, with status 2 and this reason.
inline void expect_refused(const std::vector<std::string>& argv, std::vector<std::string> tool,
                           std::string_view reason)
{
    const Program program(argv);
    program.wait_for("ready");
    tool.insert(tool.end(), {"-p", std::to_string(program.pid())});
    const Result result = run(tool);
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_NE(result.err.find(reason), std::string::npos) << result.err;
}

} // namespace corebox::test
