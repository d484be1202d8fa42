// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf_users.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "kernel/btf.hpp"
#include "kernel/insn.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <dirent.h>
#include <functional>
#include <memory>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxDepth = 16; // of directories in /sys/fs/bpf

void for_each_entry(const std::string& directory, const std::function<void(const dirent&)>& use)
{
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
    if (!dir)
        return;
    while (const dirent* entry = ::readdir(dir.get()))
        if (entry->d_name[0] != '.')
            use(*entry);
}

std::string link_text(const std::string& path)
{
    char text[PATH_MAX];
    const ssize_t n = ::readlink(path.c_str(), text, sizeof text);
    return n > 0 ? std::string(text, std::size_t(n)) : "";
}

// "prog" for "anon_inode:bpf-prog"; empty for what is not BPF's. A link is bpf-link or bpf_link.
std::string object_type(std::string_view link)
{
    constexpr std::string_view kAnonymous = "anon_inode:";
    if (!link.starts_with(kAnonymous))
        return {};
    link.remove_prefix(kAnonymous.size());
    if (link == "btf")
        return "btf";
    if (link.starts_with("bpf-") || link.starts_with("bpf_"))
        return std::string(link.substr(4));
    return {};
}

std::optional<std::uint64_t> info_number(const std::string& text, std::string_view key)
{
    const auto value = status_field(text, key);
    return value ? to_number<std::uint64_t>(*value) : std::nullopt;
}

// What a process's descriptor, a perf event or a raw tracepoint's link, probes.
struct Query {
    std::uint32_t program = 0, type = 0;
    std::string name;
    std::uint64_t offset = 0, address = 0;
    int error = 0;
};

Query query_fd(std::uint32_t pid, int fd)
{
    Query q;
    char name[PATH_MAX] = {};
    __u32 size = sizeof name;
    __u64 offset = 0, address = 0;
    q.error =
        bpf_task_fd_query(int(pid), fd, 0, name, &size, &q.program, &q.type, &offset, &address) == 0
            ? 0
            : errno;
    q.name = name;
    q.offset = offset;
    q.address = address;
    return q;
}

// What kind of perf event it is, and in words what it probes.
BpfProbe as_probe(const Query& q)
{
    const bool has_name = !q.name.empty();
    const std::string place =
        has_name ? cat(q.name, q.offset ? cat("+", to_hex(q.offset)) : "") : to_hex(q.address);
    switch (q.type) {
    case BPF_FD_TYPE_KPROBE:
        return {"kprobe", cat("kprobe:", place), q.program};
    case BPF_FD_TYPE_KRETPROBE:
        return {"kprobe", cat("kretprobe:", place), q.program};
    case BPF_FD_TYPE_UPROBE:
        return {"uprobe", cat("uprobe:", place), q.program};
    case BPF_FD_TYPE_URETPROBE:
        return {"uprobe", cat("uretprobe:", place), q.program};
    case BPF_FD_TYPE_TRACEPOINT:
        return {"tracepoint", cat("tracepoint:", q.name), q.program};
    default:
        return {"", "", q.program};
    }
}

void look_at(BpfUser& user, int fd)
{
    const std::string link = link_text(cat("/proc/", user.pid, "/fd/", fd));
    if (const std::string type = object_type(link); !type.empty()) {
        user.objects[type]++;
        // Programs and links have it.
        if (const auto info = read_file(cat("/proc/", user.pid, "/fdinfo/", fd)))
            if (const auto id = info_number(*info, "prog_id"); id && *id)
                user.programs.insert(std::uint32_t(*id));
        return;
    }
    if (link != "anon_inode:[perf_event]")
        return;
    const Query q = query_fd(user.pid, fd);
    if (q.error == EOPNOTSUPP) { // a program on an event that is no probe: a sampler
        user.probes.push_back({"perf_event", "perf_event", 0});
    } else if (q.error == 0) {
        BpfProbe probe = as_probe(q);
        user.programs.insert(q.program);
        if (!probe.kind.empty())
            user.probes.push_back(std::move(probe));
    }
}

// BTF of the kernel and its modules, by the number of the object.
class KernelTypes
{
public:
    // The function or type behind a program's target; empty if unknown.
    std::string name(std::uint32_t object, std::uint32_t id)
    {
        if (object == 0 || id == 0)
            return {};
        if (!vmlinux())
            return {};
        const btf* types = vmlinux_.get();
        if (id >= btf__type_cnt(vmlinux_.get())) {
            auto& module = modules_[object];
            if (!module)
                module.reset(btf__load_from_kernel_by_id_split(object, vmlinux_.get()));
            if (!module)
                return {};
            types = module.get();
        }
        const btf_type* type = btf__type_by_id(types, id);
        const char* name = type ? btf__name_by_offset(types, type->name_off) : nullptr;
        return name ? name : "";
    }

    // Null where the kernel has none.
    const btf* vmlinux()
    {
        if (!vmlinux_)
            vmlinux_.reset(btf__load_vmlinux_btf());
        return vmlinux_.get();
    }

    // Of a structure's member, in bytes, as instructions have it.
    std::optional<std::int16_t> offset(const char* structure, std::string_view member)
    {
        const auto bytes = vmlinux() ? member_offset(vmlinux(), structure, member) : std::nullopt;
        return bytes ? std::optional(std::int16_t(*bytes)) : std::nullopt;
    }

private:
    struct Free {
        void operator()(btf* b) const { btf__free(b); }
    };
    using Btf = std::unique_ptr<btf, Free>;
    Btf vmlinux_;
    std::map<std::uint32_t, Btf> modules_; // freed before what they continue
};

// What programs are attached to, by their ids, where the kernel tells that neither with the program
// nor with its link (before 5.13): a BPF iterator over all programs (5.9+) reads it from the
// kernel's own structures. Empty where that cannot be.
std::map<std::uint32_t, std::string> targets_by_iterator(KernelTypes& types)
{
    struct Target {
        std::uint64_t id;
        char function[64];
    };
    std::map<std::uint32_t, std::string> targets;
    const auto aux = types.offset("bpf_prog", "aux"), id = types.offset("bpf_prog_aux", "id"),
               function = types.offset("bpf_prog_aux", "attach_func_name");
    const __s32 iterator =
        types.vmlinux()
            ? btf__find_by_name_kind(types.vmlinux(), "bpf_iter_bpf_prog", BTF_KIND_FUNC)
            : -1;
    if (!aux || !id || !function || iterator <= 0)
        return targets;
    constexpr int kTarget = -int(sizeof(Target));
    std::vector<bpf_insn> program;
    for (int at = kTarget; at < 0; at += 8)
        program.push_back(insn::store_imm(BPF_REG_10, at, 0));
    program.insert(
        program.end(),
        {
            // r6 = context, struct bpf_iter__bpf_prog; r7 = context->prog, null at the end
            insn::mov(BPF_REG_6, BPF_REG_1),
            insn::load(BPF_REG_7, BPF_REG_6, 8),
            insn::any(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_7, 0, 14, 0),
            // target.id = prog->aux->id
            insn::load(BPF_REG_7, BPF_REG_7, *aux),
            insn::load(BPF_REG_1, BPF_REG_7, *id, BPF_W),
            insn::store(BPF_REG_10, kTarget, BPF_REG_1),
            // read_kernel_str(target.function, sizeof target.function, aux->attach_func_name)
            insn::load(BPF_REG_3, BPF_REG_7, *function),
            insn::mov_imm(BPF_REG_2, sizeof(Target::function)),
            insn::mov(BPF_REG_1, BPF_REG_10),
            insn::add(BPF_REG_1, kTarget + int(offsetof(Target, function))),
            insn::call(BPF_FUNC_probe_read_kernel_str),
            // seq_write(context->meta->seq, &target, sizeof target)
            insn::load(BPF_REG_1, BPF_REG_6, 0),
            insn::load(BPF_REG_1, BPF_REG_1, 0),
            insn::mov(BPF_REG_2, BPF_REG_10),
            insn::add(BPF_REG_2, kTarget),
            insn::mov_imm(BPF_REG_3, sizeof(Target)),
            insn::call(BPF_FUNC_seq_write),
            insn::mov_imm(BPF_REG_0, 0),
            insn::exit(),
        });
    bpf_prog_load_opts options{};
    options.sz = sizeof options;
    options.expected_attach_type = BPF_TRACE_ITER;
    options.attach_btf_id = __u32(iterator);
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY}; // before 5.11 programs count against it
    ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
    const Fd loaded(bpf_prog_load(BPF_PROG_TYPE_TRACING, "corebox_targets", "Dual BSD/GPL",
                                  program.data(), program.size(), &options));
    const Fd link(loaded ? bpf_link_create(loaded.get(), 0, BPF_TRACE_ITER, nullptr) : -1);
    const Fd lines(link ? bpf_iter_create(link.get()) : -1);
    Target target{};
    while (lines && ::read(lines.get(), &target, sizeof target) == ssize_t(sizeof target))
        targets[std::uint32_t(target.id)] = c_str(target.function);
    return targets;
}

constexpr std::string_view kTracepointType = "btf_trace_";

std::string attach_word(std::uint32_t type)
{
    switch (type) {
    case BPF_TRACE_FENTRY:
        return "fentry";
    case BPF_TRACE_FEXIT:
        return "fexit";
    case BPF_MODIFY_RETURN:
        return "fmod_ret";
    case BPF_LSM_MAC:
    case BPF_LSM_CGROUP:
        return "lsm";
    default: {
        const char* name = libbpf_bpf_attach_type_str(bpf_attach_type(type));
        return name ? name : cat("attach_type_", type);
    }
    }
}

// A link in words. The kernel may know more of it than our headers; it then fills what they have.
// `targets` finds what it does not tell.
std::string describe_link(const bpf_link_info& info, std::string_view name, const bpf_prog_info& p,
                          KernelTypes& types,
                          const std::function<std::string(std::uint32_t program)>& targets)
{
    switch (info.type) {
    case BPF_LINK_TYPE_RAW_TRACEPOINT:
        return cat(p.type == BPF_PROG_TYPE_TRACING ? "tp_btf:" : "raw_tp:", name);
    case BPF_LINK_TYPE_TRACING: {
        std::string target = types.name(p.attach_btf_obj_id, p.attach_btf_id);
        if (target.empty())
            target = types.name(info.tracing.target_obj_id, info.tracing.target_btf_id);
        if (target.empty())
            target = targets(p.id);
        return cat(attach_word(info.tracing.attach_type), target.empty() ? "" : ":", target);
    }
    case BPF_LINK_TYPE_CGROUP:
        return cat(attach_word(info.cgroup.attach_type), ":cgroup ", info.cgroup.cgroup_id);
    case BPF_LINK_TYPE_ITER:
        return cat("iter:", name);
    case BPF_LINK_TYPE_NETNS:
        return cat(attach_word(info.netns.attach_type), ":netns ", info.netns.netns_ino);
    case BPF_LINK_TYPE_XDP: {
        char device[IF_NAMESIZE];
        return cat("xdp:", ::if_indextoname(info.xdp.ifindex, device)
                               ? std::string(device)
                               : cat("ifindex ", info.xdp.ifindex));
    }
    case BPF_LINK_TYPE_PERF_EVENT:
        return {}; // known from its perf event, by name
    default: {
        const char* type = libbpf_bpf_link_type_str(bpf_link_type(info.type));
        return type ? type : cat("link_type_", info.type);
    }
    }
}

struct LinkText {
    std::uint32_t program;
    bpf_link_info info;
    std::string name;
};

std::vector<LinkText> all_links()
{
    std::vector<LinkText> links;
    for (__u32 id = 0; bpf_link_get_next_id(id, &id) == 0;) {
        const Fd fd(bpf_link_get_fd_by_id(id));
        char name[128] = {};
        bpf_link_info info{};
        __u32 size = sizeof info;
        if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0)
            continue;
        // Asked again with room for the name; which member that is depends on the type.
        if (info.type == BPF_LINK_TYPE_RAW_TRACEPOINT || info.type == BPF_LINK_TYPE_ITER) {
            const auto type = info.type;
            info = {};
            if (type == BPF_LINK_TYPE_RAW_TRACEPOINT) {
                info.raw_tracepoint.tp_name = std::uintptr_t(name);
                info.raw_tracepoint.tp_name_len = sizeof name;
            } else {
                info.iter.target_name = std::uintptr_t(name);
                info.iter.target_name_len = sizeof name;
            }
            size = sizeof info;
            if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0)
                continue;
        }
        links.push_back({info.prog_id, info, name});
    }
    return links;
}

// Paths of programs in a BPF file system, of themselves and of their links.
void find_pins(const std::string& directory, std::multimap<std::uint32_t, std::string>& pins,
               std::size_t depth)
{
    for_each_entry(directory, [&](const dirent& entry) {
        const std::string path = cat(directory, "/", entry.d_name);
        struct stat st {
        };
        if (::lstat(path.c_str(), &st) != 0)
            return;
        if (S_ISDIR(st.st_mode) && depth < kMaxDepth)
            return find_pins(path, pins, depth + 1);
        if (!S_ISREG(st.st_mode))
            return;
        const Fd fd(bpf_obj_get(path.c_str()));
        if (!fd)
            return;
        const auto info = read_file(cat("/proc/self/fdinfo/", fd.get()));
        if (const std::uint64_t id = info ? info_number(*info, "prog_id").value_or(0) : 0)
            pins.emplace(std::uint32_t(id), path);
    });
}

BpfProgram as_program(const Fd& fd, const bpf_prog_info& info, bool timed)
{
    BpfProgram program;
    program.id = info.id;
    program.run_count = info.run_cnt;
    program.run_time_ns = info.run_time_ns;
    program.timed = timed || info.run_cnt != 0;
    const char* type = libbpf_bpf_prog_type_str(bpf_prog_type(info.type));
    program.type = type ? type : cat("type ", info.type);
    program.name = c_str(info.name);
    if (const auto text = read_file(cat("/proc/self/fdinfo/", fd.get())))
        program.memlock = info_number(*text, "memlock").value_or(0);
    return program;
}

} // namespace

std::vector<BpfUser> bpf_users(std::size_t& closed)
{
    std::vector<BpfUser> users;
    for_each_entry("/proc", [&](const dirent& process) {
        const auto pid = to_number<std::uint32_t>(process.d_name);
        if (!pid || *pid == std::uint32_t(::getpid()))
            return;
        const std::string directory = cat("/proc/", *pid, "/fd");
        if (::access(directory.c_str(), R_OK | X_OK) != 0) {
            closed += errno == EACCES ? 1 : 0;
            return;
        }
        BpfUser user;
        user.pid = *pid;
        for_each_entry(directory, [&](const dirent& entry) {
            if (const auto fd = to_number<int>(entry.d_name))
                look_at(user, *fd);
        });
        if (user.objects.empty() && user.probes.empty())
            return;
        user.comm = read_file(cat("/proc/", *pid, "/comm")).value_or("?\n");
        if (user.comm.ends_with('\n'))
            user.comm.pop_back();
        users.push_back(std::move(user));
    });
    std::ranges::sort(users, {}, &BpfUser::pid);
    return users;
}

std::vector<BpfProgram> bpf_programs(const std::vector<BpfUser>& users)
{
    std::vector<BpfProgram> programs;
    const std::vector<LinkText> links = all_links();
    std::multimap<std::uint32_t, std::string> pins;
    find_pins("/sys/fs/bpf", pins, 0);
    const auto stats = read_file("/proc/sys/kernel/bpf_stats_enabled");
    const bool timed = stats && stats->starts_with('1');
    KernelTypes types;
    std::optional<std::map<std::uint32_t, std::string>> targets;
    const auto target_of = [&](std::uint32_t program) {
        if (!targets)
            targets = targets_by_iterator(types);
        const auto known = targets->find(program);
        return known == targets->end() ? std::string() : known->second;
    };
    __u32 id = 0;
    while (bpf_prog_get_next_id(id, &id) == 0) {
        const Fd fd(bpf_prog_get_fd_by_id(id));
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0)
            continue;
        BpfProgram& program = programs.emplace_back(as_program(fd, info, timed));
        std::set<std::string> places;
        for (const LinkText& link : links)
            if (link.program == id)
                places.insert(describe_link(link.info, link.name, info, types, target_of));
        for (const BpfUser& user : users)
            for (const BpfProbe& probe : user.probes)
                if (probe.program == id)
                    places.insert(probe.what);
        if (info.type == BPF_PROG_TYPE_PERF_EVENT && places.contains(""))
            places.insert("perf_event");
        places.erase("");
        program.attached.assign(places.begin(), places.end());
        for (auto [pin, end] = pins.equal_range(id); pin != end; ++pin)
            program.pinned.push_back(pin->second);
    }
    if (errno != ENOENT)
        fail("cannot list BPF programs", errno, "this requires CAP_SYS_ADMIN");
    return programs;
}

} // namespace corebox
