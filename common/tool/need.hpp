// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a tool needs: events, each with the rungs that give them, in order of preference.
#pragma once
#include "kernel/facts.hpp"
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct bpf_link;
struct bpf_object;
struct bpf_program;

namespace corebox
{

struct Session;

// What a program whose section names a slot ("fexit/%read") attaches to: known only once the
// command line is. A need whose slots none of a run's targets is for is not one of that run's.
struct Target {
    std::string_view slot; // "%read"
    std::string_view function;
    std::string_view module{}; // where the function is, if not in vmlinux
};
using Targets = std::span<const Target>;

// A program of a skeleton, by its member in `progs`.
struct Probe {
    bpf_program* (*program)(const void* progs) = nullptr;
    bool optional = false; // the rung stands without it (a system call that an arch lacks)
};

// Attaches a program that libbpf's bpf_program__attach() cannot (perf events); returns the links,
// or none with errno set. A null link stands for what is attached and belongs to somebody else
// (links_elsewhere()).
using AttachFn = std::vector<bpf_link*> (*)(const Session&, const bpf_program*);

// Of an AttachFn: attached, with no link for the kit to close.
inline std::vector<bpf_link*> links_elsewhere() { return {nullptr}; }

struct Rung {
    std::string_view
        name; // "fexit", "tp_btf", "tracepoint", "session", "kprobe"; COREBOX_PROBES names it
    std::array<Probe, 8> probes{};
    std::string_view blind{}; // what it does not see, for --explain
    AttachFn attach = nullptr;
    // What stands in its way besides its programs' sections.
    Obstacle (*obstacle)(const Facts&) = nullptr;
    // A function of the kernel itself: where BTF has it, there is what this rung is attached by, or
    // a helper that its programs call.
    std::string_view function{};
};

// The same rung, on kernels with this function.
consteval Rung with_function(Rung rung, std::string_view function)
{
    rung.function = function;
    return rung;
}

struct Need {
    std::string_view what; // "opens as they return"
    std::array<Rung, 5> rungs{};
    // Needed only if this long option is given ("!name": not given), or one of them ("a|b").
    std::string_view option{};
    bool optional = false;      // the tool runs without it
    std::string_view without{}; // what is then not seen
    // Of such needs a run has some, as its operands want it, and the tool is of use while one is
    // met.
    bool chosen = false;
};

// For Need::option: anything that restricts who is traced ("--": a command).
inline constexpr std::string_view kAnyFilter = "pid|tid|ppid|uid|comm|cgroup|cgroupmap|mntnsmap|--";

namespace detail
{
template <class T>
struct ProgsOf;
template <class Progs>
struct ProgsOf<bpf_program * Progs::*> {
    using type = Progs;
};

template <auto Member>
consteval Probe probe(bool optional)
{
    return {[](const void* progs) -> bpf_program* {
                using Progs = typename ProgsOf<decltype(Member)>::type;
                return static_cast<const Progs*>(progs)->*Member;
            },
            optional};
}
} // namespace detail

// rung<&Progs::enter, &Progs::leave>("kprobe"): all of them together.
template <auto... Members>
consteval Rung rung(std::string_view name, std::string_view blind = {}, AttachFn attach = nullptr,
                    Obstacle (*obstacle)(const Facts&) = nullptr)
{
    return {name, {detail::probe<Members>(false)...}, blind, attach, obstacle};
}

// rung_any<...>("tracepoint"): those that the kernel has, at least one.
template <auto... Members>
consteval Rung rung_any(std::string_view name, std::string_view blind = {})
{
    return {name, {detail::probe<Members>(true)...}, blind, nullptr};
}

} // namespace corebox
