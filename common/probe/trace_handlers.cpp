// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/trace_handlers.hpp"
#include "base/text.hpp"
#include "probe/session.hpp"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>

namespace corebox
{

bool is_trace(std::string_view section)
{
    return section.starts_with("fentry/") || section.starts_with("fexit/") ||
           section.starts_with("fmod_ret/") || section.starts_with("tp_btf/");
}

bool is_iterator(std::string_view section) { return section.starts_with("iter/"); }

std::string target_name(std::string_view section)
{
    const auto target = section.substr(section.find('/') + 1);
    return section.starts_with("tp_btf/") ? cat("btf_trace_", target)
           : is_iterator(section)         ? cat("bpf_iter_", target)
                                          : std::string(target);
}

namespace
{

// libbpf 1.1 frees its table of handlers when the last one is gone, and goes on using it: a second
// launch in one process would free it again. So one handler, of no program's section, stays.
void keep_table()
{
    static const int kept = libbpf_register_prog_handler("corebox/none", BPF_PROG_TYPE_KPROBE,
                                                         bpf_attach_type(0), nullptr);
    (void)kept;
}

} // namespace

void TraceHandlers::add(const Ids& ids)
{
    keep_table();
    struct Kind {
        const char* section;
        bpf_attach_type attach;
    };
    for (const auto& [section, attach] :
         {Kind{"fentry+", BPF_TRACE_FENTRY}, Kind{"fexit+", BPF_TRACE_FEXIT},
          Kind{"fmod_ret+", BPF_MODIFY_RETURN}, Kind{"tp_btf+", BPF_TRACE_RAW_TP},
          Kind{"iter+", BPF_TRACE_ITER}}) {
        libbpf_prog_handler_opts options{};
        options.sz = sizeof options;
        options.cookie = reinterpret_cast<long>(&ids);
        options.prog_prepare_load_fn = [](bpf_program* program, bpf_prog_load_opts* load,
                                          long cookie) noexcept {
            const auto& known = *reinterpret_cast<const Ids*>(cookie);
            const auto id = known.find(target_name(bpf_program__section_name(program)));
            if (id == known.end())
                return -ESRCH;
            load->attach_btf_id = id->second.id;
            load->attach_btf_obj_fd = __u32(id->second.object);
            bpf_program__set_type(program, BPF_PROG_TYPE_TRACING);
            return 0;
        };
        // Not TRACING from the start: for that type libbpf loads the whole BTF before it asks us.
        const int handler =
            libbpf_register_prog_handler(section, BPF_PROG_TYPE_KPROBE, attach, &options);
        if (handler > 0)
            handlers_.push_back(handler);
    }
    libbpf_prog_handler_opts options{};
    options.sz = sizeof options;
    options.cookie = reinterpret_cast<long>(&ids);
    options.prog_prepare_load_fn = [](bpf_program* program, bpf_prog_load_opts*,
                                      long cookie) noexcept {
        const auto& known = *reinterpret_cast<const Ids*>(cookie);
        const auto id = known.find(kSessionIsReturn);
        return id == known.end() ? -ESRCH : name_session_function(program, id->second.id);
    };
    const int handler = libbpf_register_prog_handler("kprobe.session+", BPF_PROG_TYPE_KPROBE,
                                                     bpf_attach_type(kSessionAttachType), &options);
    if (handler > 0)
        handlers_.push_back(handler);
}

void TraceHandlers::remove()
{
    for (const int handler : handlers_)
        libbpf_unregister_prog_handler(handler);
    handlers_.clear();
}

} // namespace corebox
