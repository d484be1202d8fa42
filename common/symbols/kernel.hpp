// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// What an address of a stack is. All but the leaf are return addresses: they point behind the call,
// and after a call that never returns that is the next function already.
enum class At : std::uint8_t { instruction, return_address };

// A kernel address in words. The views live as long as the KernelSymbols they came from.
struct KernelFrame {
    std::string_view name;
    std::string_view module; // empty: the kernel itself; "bpf": a JITed BPF program
    std::uint64_t offset = 0;
};

// Why kernel functions have no names. The kernel decides when /proc/kallsyms is opened
// (kallsyms_show_value() in kernel/ksyms_common.c).
enum class NamesHidden : std::uint8_t {
    no,
    by_sysctl,         // kernel.kptr_restrict=2: from everybody
    by_capability,     // CAP_SYSLOG is missing
    by_user_namespace, // it holds in this user namespace only
    no_file,           // /proc/kallsyms is not there, or not for us
};
// A pure function of what names_hidden() reads. `caps`: CapEff of /proc/self/status.
NamesHidden why_names_hidden(std::optional<std::string_view> kallsyms,
                             std::optional<std::uint64_t> kptr_restrict,
                             std::optional<std::uint64_t> caps);
// Whether they are hidden now, and why: reads the first symbols only.
NamesHidden names_hidden();
// What to tell users: "kernel.kptr_restrict is 2" and "sysctl kernel.kptr_restrict=1".
std::string_view reason_of(NamesHidden why);
std::string_view remedy_of(NamesHidden why);
// Both as one message: "kernel functions have no names: ...".
std::string message_of(NamesHidden why);

// The text symbols of the running kernel: one pass over /proc/kallsyms, then immutable.
//
// Read it at the end of a run, not at its start: modules and BPF programs loaded meanwhile are then
// known too, and a run that saw no stack never pays for it. Needs CAP_SYSLOG where kptr_restrict is
// set, so keep that capability until the stacks are printed.
class KernelSymbols
{
public:
    // A file that cannot be read gives an empty table: every lookup then misses.
    static KernelSymbols load(const char* path = "/proc/kallsyms");
    // The same from text in the format of /proc/kallsyms.
    static KernelSymbols parse(std::string_view text);

    // The function that holds `address`; nothing for what is not kernel text.
    std::optional<KernelFrame> lookup(std::uint64_t address, At at = At::instruction) const;

    // The address of the first text symbol of that name (static functions may share one).
    // A linear search: fine for a few names, not for one per event.
    std::optional<std::uint64_t> address_of(std::string_view name) const;

    // Is this address inside a BPF program, trampoline or dispatcher?
    bool is_bpf(std::uint64_t address) const;

    // How many frames at the start of a stack (leaf first) belong to the tracing itself: the BPF
    // program and what the kernel called to run it. For stacks taken by a BPF program about its own
    // caller (offcputime, stackcount). Not for sampled stacks: there a BPF frame is a finding.
    std::size_t own_frames(std::span<const std::uint64_t> leaf_first) const;

    // The kernel hid its addresses from us: all read as zero. names_hidden() says why.
    bool restricted() const { return restricted_; }
    bool has_names() const { return !restricted_ && !empty(); }
    bool empty() const { return symbols_.empty(); }
    std::size_t size() const { return symbols_.size(); }

private:
    struct Symbol {
        std::uint64_t address;
        std::uint32_t name;   // offset into names_, NUL-terminated
        std::uint32_t module; // index into modules_, 0: none
    };

    KernelSymbols();
    // Takes the whole lines at the start of `text`; returns how many bytes those were.
    std::size_t take_lines(std::string_view text);
    void take_line(const char* line, const char* end);
    void seal();
    const Symbol* find(std::uint64_t address) const;
    std::string_view name_of(const Symbol& symbol) const { return names_.data() + symbol.name; }

    std::vector<Symbol> symbols_; // by address; of equal addresses the first in the file leads
    std::string names_;
    std::vector<std::string> modules_;
    bool restricted_ = false;
};

} // namespace corebox
