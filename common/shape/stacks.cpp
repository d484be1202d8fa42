// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stacks.hpp"
#include "output/escape.hpp"
#include "session/perf.hpp"
#include "session/transport.hpp"
#include "symbols/flame.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::uint64_t kNoteAgainNs = 100'000'000;

std::string hex(std::uint64_t n)
{
    char digits[16];
    return cat("0x", std::string_view(digits, std::to_chars(digits, digits + 16, n, 16).ptr));
}

std::vector<StackFrame> as_stack(const Frames& frames, std::string_view missed)
{
    std::vector<StackFrame> stack;
    if (frames.state == Frames::State::lost)
        stack.push_back({missed, FrameKind::marker});
    for (std::size_t i = 0; i < frames.names.size(); i++)
        stack.push_back({frames.names[i], frames.kinds[i]});
    return stack;
}

// -A in a folded line: the address is part of the name.
std::vector<StackFrame> folded_stack(const Frames& frames, std::string_view missed)
{
    std::vector<StackFrame> stack = as_stack(frames, missed);
    for (std::size_t i = 0; i < frames.details.size(); i++)
        stack[i].name = frames.details[i];
    return stack;
}

[[noreturn]] void fail_output(std::string_view path, int code)
{
    throw Failure{Exit::output, cat("write ", path, ": ", strerrordesc_np(code))};
}

bool write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text.remove_prefix(std::size_t(n));
    }
    return true;
}

std::string directory_of(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == path.npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

// The file behind links, so that a link stays one; the path itself where there is no file yet.
std::string link_target(const std::string& path)
{
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    return real ? real.get() : path;
}

// Fails where the path may not be followed (fs.protected_symlinks): realpath(3) and rename(2) would
// not be told of that.
bool is_special(const std::string& path)
{
    struct stat st {
    };
    if (::stat(path.c_str(), &st) == 0)
        return !S_ISREG(st.st_mode);
    if (errno != ENOENT)
        fail_output(path, errno);
    return false;
}

// Better told now than after a minute of sampling.
void must_be_writable(const std::string& path)
{
    struct stat st {
    };
    if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
        fail_output(path, EISDIR);
    const std::string place = is_special(path) ? path : directory_of(link_target(path));
    if (::access(place.c_str(), W_OK) != 0)
        fail_output(path, errno);
}

} // namespace

void append_frames(std::string& out, const Frames& frames, std::string_view missed,
                   bool outermost_first, std::string_view kernel_suffix)
{
    if (frames.state == Frames::State::lost)
        out += cat("    ", missed, "\n");
    for (std::size_t n = 0; n < frames.names.size(); n++) {
        const std::size_t i = outermost_first ? frames.names.size() - 1 - n : n;
        out += "    ";
        escape_text(out, frames.details.empty() ? frames.names[i] : frames.details[i], false);
        if (frames.kinds[i] == FrameKind::kernel)
            out += kernel_suffix;
        out += '\n';
    }
}

std::string traced_tasks(const Session& session)
{
    const auto list = [](const char* what, const std::vector<std::uint32_t>& ids) {
        std::string out = cat(what, " [");
        for (const std::uint32_t id : ids)
            out += cat(out.back() == '[' ? "" : ",", id);
        return out + "]";
    };
    if (!session.pids.empty())
        return list("PID", session.pids);
    if (!session.tids.empty())
        return list("TID", session.tids);
    if (!session.command.empty())
        return cat(std::string_view(session.command[0]), " and its children");
    return "all threads";
}

std::string traced_time(const Session& session)
{
    if (const auto ms = session.duration.count() / 1'000'000; ms)
        return cat(" for ", ms / 1000, ms % 1000 ? cat(".", ms % 1000 / 100) : "", " secs.");
    return "... Hit Ctrl-C to end.";
}

void replace_file(const std::string& path, std::string_view text)
{
    if (is_special(path)) {
        const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!fd || !write_all(fd.get(), text))
            fail_output(path, errno);
        return;
    }
    const std::string target = link_target(path);
    std::string temporary = cat(target, ".XXXXXX");
    const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd)
        fail_output(path, errno);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    if (!write_all(fd.get(), text) || ::fchmod(fd.get(), 0666 & ~mask) != 0 ||
        ::fsync(fd.get()) != 0 || ::rename(temporary.c_str(), target.c_str()) != 0) {
        const int code = errno;
        ::unlink(temporary.c_str());
        fail_output(path, code);
    }
}

Value StackRow::names(const Frames& frames)
{
    if (frames.state == Frames::State::lost || frames.state == Frames::State::unwanted)
        return Absent{};
    return List{frames.names.data(), frames.names.size()};
}

Value StackRow::details(const Frames& frames)
{
    if (frames.state == Frames::State::lost || frames.state == Frames::State::unwanted)
        return Absent{};
    return List{frames.details.data(), frames.details.size()};
}

void merge_stacks(std::vector<StackRow>& rows, const StackUnit& unit)
{
    const auto text = [](const StackRow& r) {
        const StackPartner& p = r.partner;
        return std::tie(r.event, r.comm, r.pid, r.tid, r.user->state, r.kernel->state,
                        r.user->names, r.kernel->names, r.user->details, r.kernel->details,
                        r.detail, p.comm, p.pid, p.tid, p.user->state, p.kernel->state,
                        p.user->names, p.kernel->names, p.user->details, p.kernel->details);
    };
    std::ranges::sort(rows,
                      [&](const StackRow& a, const StackRow& b) { return text(a) < text(b); });
    std::size_t kept = 0;
    for (const StackRow& row : rows) {
        if (kept > 0 && text(rows[kept - 1]) == text(row)) {
            rows[kept - 1].events += row.events;
            rows[kept - 1].total += row.total;
        } else {
            rows[kept++] = row;
        }
    }
    rows.resize(kept);
    // Equal weights stay in the order of their text: two runs over the same data print the same.
    std::ranges::stable_sort(rows, {}, [&](const StackRow& r) { return stack_weight(r, unit); });
}

void append_block(std::string& out, const StackRow& row, const StackOptions& options,
                  const StackUnit& unit)
{
    append_frames(out, *row.kernel, kMissedKernel, false, options.annotations ? "_[k]" : "");
    if (options.delimited && !row.kernel->names.empty() && !row.user->names.empty())
        out += "    --\n";
    append_frames(out, *row.user, kMissedUser);
    out += "    -                ";
    escape_text(out, row.comm, false);
    out += options.threads ? cat(" (", row.pid, "/", row.tid, ")") : cat(" (", row.pid, ")");
    out += cat("\n        ", stack_weight(row, unit), "\n\n");
}

void append_folded(std::string& out, const StackRow& row, const StackOptions& options,
                   const StackUnit& unit)
{
    const auto user = folded_stack(*row.user, kMissedUser);
    const auto kernel = folded_stack(*row.kernel, kMissedKernel);
    const std::string comm =
        options.threads ? cat(row.comm, "-", row.pid, "/", row.tid) : std::string(row.comm);
    append_folded(out, comm, user, kernel, stack_weight(row, unit),
                  {.delimiter = options.delimited, .annotate = options.annotations});
}

void flame_frames(std::vector<StackFrame>& frames, const StackRow& row, const StackOptions& options,
                  std::deque<std::string>& names)
{
    std::string_view process = row.comm;
    if (options.threads)
        process = names.emplace_back(cat(row.comm, "-", row.pid, "/", row.tid));
    frames.push_back({process, FrameKind::process});
    const auto user = as_stack(*row.user, kMissedUser);
    const auto kernel = as_stack(*row.kernel, kMissedKernel);
    frames.insert(frames.end(), user.rbegin(), user.rend());
    frames.insert(frames.end(), kernel.rbegin(), kernel.rend());
}

void append_stack(std::vector<StackFrame>& frames, const Frames& stack, std::string_view missed,
                  bool outermost_first)
{
    const auto leaf_first = as_stack(stack, missed);
    if (outermost_first)
        frames.insert(frames.end(), leaf_first.rbegin(), leaf_first.rend());
    else
        frames.insert(frames.end(), leaf_first.begin(), leaf_first.end());
}

void append_folded_flame(std::string& out, const StackRow& row, const StackOptions& options,
                         const StackUnit& unit, decltype(&flame_frames) flame)
{
    std::vector<StackFrame> frames;
    std::deque<std::string> names;
    flame(frames, row, options, names);
    for (const StackFrame& frame : frames) {
        if (&frame != &frames.front())
            out += ';';
        append_folded_name(out, frame.name);
        if (options.annotations && frame.kind == FrameKind::kernel)
            out += "_[k]";
    }
    out += cat(" ", stack_weight(row, unit), "\n");
}

bool read_stack_key(const void* bytes, StackWords& words, StackRow& row, const StackOptions&,
                    bool as_rows)
{
    const auto& key = *static_cast<const stack_key*>(bytes);
    row.comm = c_str(key.comm);
    row.pid = key.pid;
    row.tid = key.tid;
    row.detail = as_rows ? key.detail : 0;
    row.kernel = words.kernel(key.kernel);
    row.user = words.user({key.pid, key.image}, key.user);
    return row.kernel->state != Frames::State::lost && row.user->state != Frames::State::lost;
}

std::uint32_t ImageSymbols::image(std::uint32_t pid)
{
    const auto text = read_file(cat("/proc/", pid, "/stat"));
    if (!text)
        return 0;
    // Behind the name, which may hold anything, field 3 comes first.
    const auto fields = split(std::string_view(*text).substr(text->rfind(')') + 1), ' ');
    constexpr std::size_t kStartStack = 28 - 2; // an empty one before the first blank
    const auto start =
        fields.size() > kStartStack ? to_number<std::uint64_t>(fields[kStartStack]) : std::nullopt;
    return start ? STACK_IMAGE(*start) : 0;
}

std::size_t ImageSymbols::layer(stack_task task)
{
    auto& images = processes_[task.pid];
    const auto known = std::ranges::find(images, task.image, &Image::image);
    const auto index = std::size_t(known - images.begin());
    if (known == images.end())
        images.push_back({task.image});
    if (layers_.size() <= index)
        layers_.resize(index + 1);
    return index;
}

bool ImageSymbols::note(stack_task task)
{
    const std::size_t index = layer(task);
    Image& known = processes_[task.pid][index];
    const std::uint64_t now = monotonic_ns();
    // Again with further new stacks: it may have loaded a library or compiled code since.
    if (known.noted_ns && now - known.noted_ns < kNoteAgainNs)
        return false;
    if (const std::uint32_t is = image(task.pid); is && is != task.image)
        return true; // too late: it is another program already
    known.noted_ns = now;
    layers_[index].remember(task.pid);
    return true;
}

UserFrame ImageSymbols::lookup(stack_task task, std::uint64_t address, At at)
{
    const std::size_t index = layer(task);
    if (processes_[task.pid][index].noted_ns == 0) {
        note(task);
        if (processes_[task.pid][index].noted_ns == 0)
            return {.name = "[unknown]", .object = {}};
    }
    return layers_[index].lookup(task.pid, address, at);
}

StackWords::StackWords(const StackOptions& options, const StackUnit& unit, ImageSymbols& user,
                       bpf_map* stacks, bpf_map* spill)
    : options_(options), unit_(unit), symbols_(user), stacks_(stacks), spill_(spill)
{
}

Frames StackWords::missing(std::int32_t id, bool wanted)
{
    return {.state = !wanted            ? Frames::State::unwanted
                     : id == STACK_NONE ? Frames::State::none
                                        : Frames::State::lost,
            .names = {},
            .kinds = {},
            .details = {}};
}

std::vector<__u64> read_stack(const bpf_map* stacks, const bpf_map* spill, std::int32_t id)
{
    const bpf_map* map = id & STACK_SPILLED ? spill : stacks;
    const __u32 key = __u32(id & ~STACK_SPILLED);
    std::vector<__u64> addresses(bpf_map__value_size(map) / sizeof(__u64));
    if (bpf_map_lookup_elem(bpf_map__fd(map), &key, addresses.data()) != 0)
        return {};
    addresses.erase(std::ranges::find(addresses, 0u), addresses.end());
    return addresses;
}

const Frames* StackWords::kernel(std::int32_t id)
{
    auto [at, is_new] = kernel_.try_emplace(id);
    Frames& frames = at->second;
    if (!is_new)
        return &frames;
    const std::vector<__u64> addresses =
        id < 0 ? std::vector<__u64>() : read_stack(stacks_, spill_, id);
    if (addresses.empty()) {
        frames = missing(id, !options_.user_only);
        return &frames;
    }
    if (!kernel_symbols_)
        kernel_symbols_ = KernelSymbols::load();
    frames.state = Frames::State::there;
    const std::size_t own =
        unit_.sampled
            ? 0
            : kernel_symbols_->own_frames(
                  {reinterpret_cast<const std::uint64_t*>(addresses.data()), addresses.size()});
    for (std::size_t i = own; i < addresses.size(); i++) {
        const At kind = i == 0 ? At::instruction : At::return_address;
        const auto frame = kernel_symbols_->lookup(addresses[i], kind);
        if (!frame)
            frames.names.push_back(keep(hex(addresses[i])));
        else if (frame->module.empty())
            frames.names.push_back(frame->name);
        else
            frames.names.push_back(keep(cat(frame->name, " [", frame->module, "]")));
        frames.kinds.push_back(FrameKind::kernel);
        if (options_.address || options_.offset) {
            std::string detail = options_.address ? cat(hex(addresses[i]), " ") : "";
            append_kernel_frame(detail, *kernel_symbols_, addresses[i],
                                {.offset = true, .module = options_.address}, kind);
            frames.details.push_back(keep(std::move(detail)));
        }
    }
    return &frames;
}

const Frames* StackWords::user(stack_task task, std::int32_t id)
{
    auto [at, is_new] = user_.try_emplace({task.pid, task.image, id});
    Frames& frames = at->second;
    if (!is_new)
        return &frames;
    const std::vector<__u64> addresses =
        id < 0 ? std::vector<__u64>() : read_stack(stacks_, spill_, id);
    if (addresses.empty()) {
        frames = missing(id, !options_.kernel_only);
        return &frames;
    }
    frames.state = Frames::State::there;
    bool was_nowhere = false;
    for (std::size_t i = 0; i < addresses.size(); i++) {
        const UserFrame frame =
            symbols_.lookup(task, addresses[i], i == 0 ? At::instruction : At::return_address);
        // Code without frame pointers leads the kernel astray: up to the last frame there may be
        // addresses where nothing is. One says as much as a hundred.
        const bool nowhere = !frame.resolved && frame.object.empty();
        if (nowhere && was_nowhere && !options_.address)
            continue;
        was_nowhere = nowhere;
        frames.names.push_back(frame.name);
        frames.kinds.push_back(frame.kind);
        if (options_.address || options_.offset) {
            std::string detail = cat(options_.address ? hex(addresses[i]) + " " : "", frame.name);
            if (frame.resolved)
                detail += cat("+", hex(frame.offset));
            if (options_.address && !frame.object.empty())
                detail += cat(" [", frame.object, "]");
            frames.details.push_back(keep(std::move(detail)));
        }
    }
    return &frames;
}

const Frames* StackWords::interrupt(const Frames& kernel)
{
    // Where the processor enters the kernel. 5.10 to 7.2, x86 with and without FRED, arm64.
    const auto entry = std::ranges::find_if(kernel.names, [](std::string_view name) {
        return name.starts_with("asm_sysvec_") || name == "asm_common_interrupt" ||
               name == "fred_extint" || name.starts_with("el1h_64_irq") ||
               name.starts_with("el0t_64_irq");
    });
    if (entry == kernel.names.end())
        return nullptr;
    const auto [at, is_new] = interrupts_.try_emplace(&kernel, kernel);
    if (is_new) {
        const auto n = std::size_t(entry - kernel.names.begin()) + 1;
        at->second.names.resize(n);
        at->second.kinds.resize(n);
        if (!at->second.details.empty())
            at->second.details.resize(n);
    }
    return &at->second;
}

void check_stack_options(const StackOptions& options)
{
    if (options.kernel_only && options.user_only)
        fail_usage("--kernel-stacks-only and --user-stacks-only exclude each other");
    if (!options.flame.empty())
        must_be_writable(std::string(options.flame));
}

void prepare_stacks(const StackOptions& options, stacks_config& config, bpf_map* sums,
                    bpf_map* stacks, bpf_map* spill)
{
    config.kernel = !options.user_only;
    config.user = !options.kernel_only;
    config.threads = options.threads;
    const std::uint64_t limit = kernel_setting("perf_event_max_stack").value_or(STACK_DEPTH);
    if (options.depth > limit)
        fail(cat("stacks on this kernel can have at most ", limit, " frames"), 0,
             "run: sysctl kernel.perf_event_max_stack=127");
    const auto depth =
        options.depth ? options.depth : std::uint32_t(std::min<std::uint64_t>(limit, STACK_DEPTH));
    const auto size = [&](bpf_map* map, std::uint32_t entries) {
        bpf_map__set_value_size(map, depth * std::uint32_t(sizeof(__u64)));
        bpf_map__set_max_entries(map, entries);
    };
    size(stacks, options.storage);
    size(spill, std::max(options.storage / STACK_SPILL_SHARE, 1u));
    bpf_map__set_max_entries(sums, options.hash_storage);
}

StackReports::StackReports(Run& run, const StackOptions& options, const StackUnit& unit,
                           std::string banner, const Maps& maps, StackLook look)
    : run_(run), options_(options), unit_(unit), banner_(std::move(banner)), maps_(maps),
      look_(std::move(look)), samples_(maps.tasks, false, 0, on_record, this), memos_(maps.memos)
{
    for (const std::uint32_t pid : run_.session->pids)
        tasks_.push_back({pid, ImageSymbols::image(pid)});
    remember_tasks();
}

Output* StackReports::text() const
{
    return run_.session->columns.empty() ? text_output(*run_.sink) : nullptr;
}

bool StackReports::prints_blocks() const
{
    return text() && !options_.folded && options_.flame.empty();
}

void StackReports::begin()
{
    if (!text())
        run_.sink->header();
    else if (prints_blocks())
        text()->text() += cat(banner_, "\n\n");
}

void StackReports::on_record(void* self, const void* record, std::size_t size) noexcept
{
    StackReports& reports = *static_cast<StackReports*>(self);
    try {
        if (size > sizeof(stack_task)) {
            const auto& sample = *static_cast<const stack_sample*>(record);
            reports.memos_.learn(sample,
                                 read_stack(reports.maps_.stacks, reports.maps_.spill, sample.id));
        } else {
            reports.on_task(*static_cast<const stack_task*>(record));
        }
    } catch (const std::bad_alloc&) {
        reports.run_.out_of_memory = true;
    }
}

void StackReports::on_task(const stack_task& task)
{
    const auto same = [&](const stack_task& t) {
        return t.pid == task.pid && t.image == task.image;
    };
    if (std::ranges::none_of(tasks_, same))
        tasks_.push_back(task);
}

void StackReports::remember_tasks()
{
    std::erase_if(tasks_, [&](const stack_task& task) { return symbols_.note(task); });
}

bool StackReports::drain()
{
    const bool more = samples_.consume();
    remember_tasks();
    return more;
}

void StackReports::report(bool last)
{
    Generations generations(*maps_.generation);
    const Entries entries(maps_.sums, last ? *maps_.generation : generations.flip());
    StackWords words(options_, unit_, symbols_, maps_.stacks, maps_.spill);
    std::vector<StackRow> rows;
    rows.reserve(entries.size());
    for (std::size_t i = 0; i < entries.size(); i++) {
        const auto& key = entries.key<stack_key>(i);
        StackRow row;
        const bool complete = unit_.read(&key, words, row, options_, text() == nullptr);
        entries.values<stack_value>(i, [&](const stack_value& value) {
            row.events += value.events;
            row.total += value.total;
        });
        if (complete) // else the kernel side counted it as lost
            run_.account.printed += row.events;
        if (look_.row)
            look_.row(row, key);
        rows.push_back(row);
    }
    if (words.kernel_hidden())
        say(run_.session->tool, "kernel functions have no names here: needs CAP_SYSLOG");
    merge_stacks(rows, unit_);
    if (look_.begin && text_output(*run_.sink))
        look_.begin(*text_output(*run_.sink));
    print(rows);
    if (last && !options_.flame.empty())
        draw(rows);
}

void StackReports::print(const std::vector<StackRow>& rows)
{
    Output* const out = text();
    for (const StackRow& row : rows) {
        if (!out) {
            run_.sink->row(&row);
            continue;
        }
        if (options_.folded)
            unit_.folded(out->text(), row, options_, unit_);
        else if (prints_blocks() && look_.block)
            look_.block(out->text(), row);
        else if (prints_blocks())
            unit_.block(out->text(), row, options_, unit_);
        out->end_record();
    }
}

void StackReports::draw(const std::vector<StackRow>& rows) const
{
    std::vector<FlameStack> stacks;
    std::deque<std::string> names;
    std::uint64_t sum = 0;
    for (const StackRow& row : rows) {
        FlameStack& stack = stacks.emplace_back();
        stack.weight = stack_weight(row, unit_);
        sum += stack.weight;
        unit_.flame(stack.frames, row, options_, names);
    }
    std::string svg;
    write_flame_graph(svg,
                      {.title = std::string(run_.session->tool.about.name),
                       .subtitle = banner_.substr(0, banner_.find("... Hit Ctrl-C")),
                       .unit = std::string(unit_.name)},
                      stacks);
    replace_file(std::string(options_.flame), svg);
    say(run_.session->tool, cat("wrote ", options_.flame, ": ", sum, " ", unit_.name));
}

} // namespace corebox
