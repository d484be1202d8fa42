// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/kernel.hpp"

#include "base/text.hpp"
#include "symbols/file.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>
#include <utility>

namespace corebox
{
namespace
{

// kallsyms has no sizes. The longest function of the kernel is far below this, so an address
// farther behind a symbol lies in a hole between texts and gets no name rather than a wrong one.
constexpr std::uint64_t kMaxFunction = 1 << 20;
constexpr std::uint64_t kMaxBpfProgram = 16 << 20; // a million instructions, JITed
constexpr std::string_view kBpfModule = "bpf";

// Where text begins and ends, not functions.
constexpr std::string_view kTextEnds[] = {"_etext", "_einittext", "__end_rodata"};

// What stands between a traced function and the BPF program it fires, by the way of attaching:
// raw and BTF tracepoints, tracepoints through perf, kprobes through perf, kprobe.multi (fprobe),
// fentry/fexit, and the helpers that take the stack. Names from 5.10 to 7.x.
constexpr std::string_view kGluePrefixes[] = {
    "bpf_trace_run",
    "__bpf_trace_",
    "__traceiter_",
    "trace_call_bpf",
    "__bpf_prog_",
    "bpf_get_stack",
    "get_perf_callchain",
    "perf_callchain_kernel",
    "perf_trace_",
    "perf_syscall_",
    "perf_call_bpf_",
    "perf_tp_event",
    "kprobe_perf_func",
    "kretprobe_perf_func",
    "kprobe_dispatcher",
    "kretprobe_dispatcher",
    "kprobe_ftrace_handler",
    "aggr_pre_handler",
    "kprobe_multi_link_",
    "fprobe_",
    "__fprobe_",
    "ftrace_ops_",
    "arch_ftrace_ops_",
    "ftrace_call",
    "ftrace_regs_call",
    "ftrace_caller",
    "ftrace_regs_caller",
    "function_graph_enter",
    "opt_pre_handler",
    "optimized_callback",
    "trampoline_handler",
    "arch_rethook_trampoline",
    "rethook_trampoline_handler",
    "__kretprobe_trampoline",
    "kretprobe_trampoline",
    "kretprobe_rethook_handler",
};

// Eight lower-case hexadecimal digits at once. Garbage in, garbage out, but never a fault.
inline std::uint32_t hex8(const char* text)
{
    std::uint64_t word;
    std::memcpy(&word, text, sizeof word);
    if constexpr (std::endian::native == std::endian::little) {
        word = __builtin_bswap64(word);
    }
    // 'a'..'f' have bit 6 set, and a low nibble nine short of their value.
    word = (word & 0x0f0f0f0f0f0f0f0f) + 9 * ((word >> 6) & 0x0101010101010101);
    word = (word | (word >> 4)) & 0x00ff00ff00ff00ff;
    word = (word | (word >> 8)) & 0x0000ffff0000ffff;
    return static_cast<std::uint32_t>(word | (word >> 16));
}

// The start of a file: "" of an empty one.
std::optional<std::string> read_start(const char* path, std::size_t size)
{
    const Fd file{::open(path, O_RDONLY | O_CLOEXEC)};
    std::string text(size, '\0');
    const ssize_t got = file ? ::read(file.get(), text.data(), size) : -1;
    if (got < 0)
        return std::nullopt;
    text.resize(std::size_t(got));
    return text;
}

bool is_text(char type) { return type == 't' || type == 'T' || type == 'w' || type == 'W'; }

} // namespace

NamesHidden why_names_hidden(std::optional<std::string_view> kallsyms,
                             std::optional<std::uint64_t> kptr_restrict,
                             std::optional<std::uint64_t> caps)
{
    if (!kallsyms || kallsyms->empty())
        return NamesHidden::no_file;
    // The first symbols of some kernels lie at 0 (per-CPU variables of x86 before 6.15).
    for (const std::string_view line : split(*kallsyms, '\n')) {
        const auto end = line.find(' ');
        if (end != line.npos && line.find_first_not_of('0') < end)
            return NamesHidden::no;
    }
    if (kptr_restrict.value_or(0) > 1)
        return NamesHidden::by_sysctl;
    const bool capable = !caps || (*caps >> CAP_SYSLOG & 1) != 0;
    return capable ? NamesHidden::by_user_namespace : NamesHidden::by_capability;
}

NamesHidden names_hidden()
{
    const auto number = [](std::optional<std::string_view> text, int base) {
        return text ? to_number<std::uint64_t>(text->substr(0, text->find('\n')), base)
                    : std::nullopt;
    };
    const auto restrict = read_file("/proc/sys/kernel/kptr_restrict");
    const auto status = read_file("/proc/self/status");
    return why_names_hidden(read_start("/proc/kallsyms", 4096), number(restrict, 10),
                            number(status ? status_field(*status, "CapEff") : std::nullopt, 16));
}

std::string_view reason_of(NamesHidden why)
{
    switch (why) {
    case NamesHidden::no:
        break;
    case NamesHidden::by_sysctl:
        return "kernel.kptr_restrict is 2";
    case NamesHidden::by_capability:
        return "CAP_SYSLOG is missing";
    case NamesHidden::by_user_namespace:
        return "CAP_SYSLOG holds only in this user namespace";
    case NamesHidden::no_file:
        return "/proc/kallsyms cannot be read";
    }
    return {};
}

std::string_view remedy_of(NamesHidden why)
{
    switch (why) {
    case NamesHidden::no:
        break;
    case NamesHidden::by_sysctl:
        return "sysctl kernel.kptr_restrict=1";
    case NamesHidden::by_capability:
        return "run as root";
    case NamesHidden::by_user_namespace:
        return "run as root of the host";
    case NamesHidden::no_file:
        return "mount /proc; the kernel needs CONFIG_KALLSYMS=y";
    }
    return {};
}

std::string message_of(NamesHidden why)
{
    return cat("kernel functions have no names: ", reason_of(why), "; ", remedy_of(why));
}

KernelSymbols::KernelSymbols() : modules_(1) {}

KernelSymbols KernelSymbols::load(const char* path)
{
    KernelSymbols table;
    Fd file{::open(path, O_RDONLY | O_CLOEXEC)};
    if (!file)
        return table;

    // Room for a distribution kernel, so that nothing is copied while growing. Pages that stay
    // untouched cost nothing.
    table.symbols_.reserve(192 * 1024);
    table.names_.reserve(6 << 20);

    std::vector<char> buffer(256 * 1024);
    std::size_t held = 0;
    for (;;) {
        // A read of a seq_file gives a page at most, however large the buffer.
        ssize_t got = ::read(file.get(), buffer.data() + held, buffer.size() - held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        held += static_cast<std::size_t>(got);
        if (held < buffer.size() - 4096)
            continue;
        std::size_t used = table.take_lines({buffer.data(), held});
        if (used == 0)
            break; // a line of 256 KiB: this is not kallsyms
        std::memmove(buffer.data(), buffer.data() + used, held - used);
        held -= used;
    }
    table.take_lines({buffer.data(), held});
    table.seal();
    return table;
}

KernelSymbols KernelSymbols::parse(std::string_view text)
{
    KernelSymbols table;
    std::size_t used = table.take_lines(text);
    if (used < text.size())
        table.take_line(text.data() + used, text.data() + text.size());
    table.seal();
    return table;
}

std::size_t KernelSymbols::take_lines(std::string_view text)
{
    const char* line = text.data();
    const char* end = text.data() + text.size();
    while (line < end) {
        const auto* stop =
            static_cast<const char*>(std::memchr(line, '\n', static_cast<std::size_t>(end - line)));
        if (stop == nullptr)
            break;
        take_line(line, stop);
        line = stop + 1;
    }
    return static_cast<std::size_t>(line - text.data());
}

// "ffffffff81000000 T _stext" or "ffffffffc0201000 t nfs_init\t[nfs]"
void KernelSymbols::take_line(const char* line, const char* end)
{
    std::uint64_t address = 0;
    const char* at = line;
    if (end - line > 19 && line[16] == ' ') {
        if (!is_text(line[17]))
            return;
        address = (std::uint64_t{hex8(line)} << 32) | hex8(line + 8);
        at = line + 16;
    } else { // a 32-bit kernel, or not a symbol at all
        for (; at < end && *at != ' '; ++at) {
            int digit = *at >= '0' && *at <= '9'   ? *at - '0'
                        : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
                                                   : -1;
            if (digit < 0)
                return;
            address = (address << 4) | static_cast<std::uint64_t>(digit);
        }
        if (end - at < 4 || !is_text(at[1]))
            return;
    }
    const char* name = at + 3;

    const char* name_end = end;
    std::uint32_t module = 0;
    if (end[-1] == ']') {
        const char* tab = end - 2;
        while (tab > name && *tab != '\t')
            --tab;
        if (tab > name && tab + 2 < end && tab[1] == '[') {
            std::string_view text(tab + 2, static_cast<std::size_t>(end - 1 - (tab + 2)));
            name_end = tab;
            if (modules_.back() != text)
                modules_.emplace_back(text);
            module = static_cast<std::uint32_t>(modules_.size() - 1);
        }
    }

    symbols_.push_back({address, static_cast<std::uint32_t>(names_.size()), module});
    names_.append(name, static_cast<std::size_t>(name_end - name));
    names_.push_back('\0');
}

void KernelSymbols::seal()
{
    restricted_ = !symbols_.empty() && std::ranges::all_of(symbols_, [](const Symbol& symbol) {
        return symbol.address == 0;
    });
    // The kernel's own symbols come sorted, modules and BPF do not. Stable, because the kernel
    // names the first of several aliases too.
    if (!std::ranges::is_sorted(symbols_, {}, &Symbol::address)) {
        std::ranges::stable_sort(symbols_, {}, &Symbol::address);
    }
}

const KernelSymbols::Symbol* KernelSymbols::find(std::uint64_t address) const
{
    if (restricted_)
        return nullptr;
    auto next = std::ranges::upper_bound(symbols_, address, {}, &Symbol::address);
    if (next == symbols_.begin())
        return nullptr;
    auto found = std::ranges::lower_bound(symbols_.begin(), next, std::prev(next)->address, {},
                                          &Symbol::address);
    std::uint64_t limit = modules_[found->module] == kBpfModule ? kMaxBpfProgram : kMaxFunction;
    if (address - found->address >= limit)
        return nullptr;
    if (std::ranges::find(kTextEnds, name_of(*found)) != std::end(kTextEnds))
        return nullptr;
    return &*found;
}

std::optional<KernelFrame> KernelSymbols::lookup(std::uint64_t address, At at) const
{
    const Symbol* symbol = find(at == At::return_address ? address - 1 : address);
    if (symbol == nullptr)
        return std::nullopt;
    return KernelFrame{name_of(*symbol), modules_[symbol->module], address - symbol->address};
}

std::optional<std::uint64_t> KernelSymbols::address_of(std::string_view name) const
{
    if (restricted_)
        return std::nullopt;
    for (const Symbol& symbol : symbols_) {
        const char* candidate = names_.data() + symbol.name;
        if (std::strncmp(candidate, name.data(), name.size()) == 0 && candidate[name.size()] == 0) {
            return symbol.address;
        }
    }
    return std::nullopt;
}

bool KernelSymbols::is_bpf(std::uint64_t address) const
{
    // By the module only: bpf_prog_alloc, bpf_dispatcher_xdp_func are the kernel's own functions.
    const Symbol* symbol = find(address);
    return symbol != nullptr && modules_[symbol->module] == kBpfModule;
}

std::size_t KernelSymbols::own_frames(std::span<const std::uint64_t> leaf_first) const
{
    std::size_t own = 0;
    bool seen_bpf = false, program = false;
    for (std::size_t i = 0; i < leaf_first.size(); ++i) {
        std::optional<KernelFrame> frame = lookup(leaf_first[i]);
        // No module calls a program: behind its frame that is its trampoline, which ended when the
        // program was detached, and lay behind the module.
        if (frame && std::exchange(program, false) && !frame->module.empty() &&
            frame->module != kBpfModule && !frame->module.starts_with("__builtin__"))
            frame.reset();
        if (!frame) {
            // The same, where no symbol lies before.
            if (!seen_bpf)
                break;
        } else if (frame->module == kBpfModule) {
            seen_bpf = true;
            program = frame->name.starts_with("bpf_prog_");
        } else {
            // "__builtin__ftrace" and "__builtin__kprobes" hold the generated trampolines.
            bool glue = frame->module.starts_with("__builtin__") ||
                        std::ranges::any_of(kGluePrefixes, [&](std::string_view prefix) {
                            return frame->name.starts_with(prefix);
                        });
            if (!glue)
                break;
        }
        own = i + 1;
    }
    return seen_bpf ? own : 0;
}

} // namespace corebox
