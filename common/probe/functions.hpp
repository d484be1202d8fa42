// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes on many kernel functions at once, chosen by a pattern (bpf/functions.bpf.h).
#pragma once
#include "abi/functions.h"
#include "base/fd.hpp"
#include "probe/ladder.hpp"
#include <cstdint>
#include <memory>
#include <regex.h>
#include <span>
#include <string>
#include <vector>

struct bpf_map;

namespace corebox
{

// BCC's patterns of function names: a shell's wildcards for the whole name, or an (extended)
// regular expression for its beginning. What the compiler adds to a name (".isra.0") may be left
// out.
class FunctionPattern
{
public:
    enum class Syntax : std::uint8_t { glob, regex };
    // Fails with a usage error where it is malformed.
    FunctionPattern(std::string_view text, Syntax syntax);

    bool matches(std::string_view name) const;
    // False for most names that do not match, cheaply.
    bool may_match(std::string_view name) const { return name.starts_with(start_); }

private:
    bool fits(const std::string& name) const;

    std::string text_;
    std::string start_; // that every name which fits has
    struct Free {
        void operator()(regex_t* r) const
        {
            ::regfree(r);
            delete r;
        }
    };
    std::unique_ptr<regex_t, Free> regex_;
};

struct KernelFunction {
    std::string name;
    std::string module{};      // empty: the kernel itself
    std::uint64_t address = 0; // 0: the kernel does not tell (no CAP_SYSLOG)
};

// What the kernel's lists say, as texts: available_filter_functions (empty: none), the same with
// addresses (6.5+), /proc/kallsyms, and the kprobes' blacklist.
struct FunctionLists {
    std::string traceable, traceable_addresses, symbols, blacklist;
};

// The functions that a pattern chooses, by address. Where not all that share a name are traceable,
// the addresses tell which; without them these are left out, and *doubtful is set.
std::vector<KernelFunction> choose_functions(const FunctionPattern& pattern,
                                             const FunctionLists& lists, bool* doubtful = nullptr);
// The running kernel's.
std::vector<KernelFunction> find_functions(const FunctionPattern& pattern);

// The probes of a set of functions. A function that turns out not to be traceable is left out.
class FunctionProbes
{
public:
    explicit FunctionProbes(std::vector<KernelFunction> functions);

    std::span<const KernelFunction> functions() const { return functions_; }
    // For kprobes without cookies; made as large as there are functions, before load.
    void use(bpf_map* ids);

    // What an AttachFn does: the links, or none with errno set.
    std::vector<bpf_link*> attach_multi(const bpf_program* program);
    std::vector<bpf_link*> attach_kprobes(const bpf_program* program);
    std::vector<bpf_link*> attach_fentries(const bpf_program* program);

    std::size_t attached() const { return attached_; }
    // Calls of a function for which the kernel did not run the program (see SkippedCalls in
    // shape/counters.hpp), where it tells.
    std::uint64_t skipped(std::size_t function) const;
    std::uint64_t skipped() const; // of all
    // Beside the links: ends what has none.
    void detach();

private:
    void attach_range(const bpf_program* program, std::size_t first, std::size_t count,
                      std::vector<bpf_link*>& links, unsigned& failures);
    std::vector<bpf_link*> none(int code);

    std::vector<KernelFunction> functions_;
    bpf_map* ids_ = nullptr;
    std::size_t attached_ = 0;
    struct Copy {
        Fd program, link;
        std::size_t function;
    };
    std::vector<Copy> copies_;
};

// The rungs of a tool whose options have a member `probes`, a pointer to FunctionProbes.
template <class S, class Options, class P = decltype(S::progs)>
inline constexpr Need kFunctionNeed = {
    .what = "calls of the functions",
    .rungs = {rung<&P::function_multi>("kprobe.multi", {},
                                       [](const auto& session, const bpf_program* program) {
                                           return static_cast<const Options*>(session.options)
                                               ->probes->attach_multi(program);
                                       }),
              rung<&P::function_kprobe>("kprobe", {},
                                        [](const auto& session, const bpf_program* program) {
                                            return static_cast<const Options*>(session.options)
                                                ->probes->attach_kprobes(program);
                                        }),
              rung<&P::function_fentry>("fentry", "functions of modules",
                                        [](const auto& session, const bpf_program* program) {
                                            return static_cast<const Options*>(session.options)
                                                ->probes->attach_fentries(program);
                                        })}};

} // namespace corebox
