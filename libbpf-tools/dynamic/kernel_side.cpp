// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel_side.hpp"
#include "base/directory.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "expr/declarations.hpp"
#include "expr/splice.hpp"
#include "kernel/facts.hpp"
#include "kernel/text.hpp"
#include "kernel/types.hpp"
#include "symbols/file.hpp"
#include "symbols/user_files.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>

namespace corebox
{

namespace
{
// While it lives, names of types mean what they mean at that place.
class ScopeOf
{
public:
    ScopeOf(expr::Types& types, const Place& place) : types_(types)
    {
        types_.set_scope(place.types.get());
    }
    ~ScopeOf() { types_.set_scope(nullptr); }
    ScopeOf(const ScopeOf&) = delete;
    ScopeOf& operator=(const ScopeOf&) = delete;

private:
    expr::Types& types_;
};
} // namespace

struct KernelSide::Kernel {
    std::unique_ptr<KernelMemory> memory;
    std::shared_ptr<KernelBtf> btf;
    std::optional<expr::KernelTypes> types; // none: the kernel provides no BTF
    std::optional<bool> task_btf;

    // Whether programs may call bpf_get_current_task_btf().
    bool has_task_btf()
    {
        if (!task_btf)
            task_btf = types && btf->enumerator("BPF_FUNC_get_current_task_btf").has_value();
        return *task_btf;
    }
};

KernelSide::KernelSide(const Session& session)
    : pid_(session.pids.empty() ? 0 : session.pids[0]), kernel_(std::make_unique<Kernel>())
{
    machine_.may_read = lockdown_mode() != "confidentiality";
#ifdef __aarch64__
    machine_.arm64 = true;
#endif
    Kernel& k = *kernel_;
    k.btf = types_from_elsewhere(session.btf);
    own_types_ = !k.btf;
    if (!k.btf)
        k.btf = std::make_shared<KernelBtf>([&k]() -> KernelMemory* {
            if (KernelMemory::has_index() && !k.memory)
                k.memory = std::make_unique<KernelMemory>();
            return k.memory.get();
        });
    if (k.btf->empty())
        return;
    k.types.emplace(types_, *k.btf);
    types_.add_source(k.types->source());
    machine_.structs = k.types->structs();
}

KernelSide::~KernelSide() = default;

void KernelSide::include(std::span<const std::string_view> files)
{
    for (const std::string_view file : files) {
        const auto text = read_file(std::string(file));
        if (!text)
            fail(cat("cannot read ", file), errno,
                 "kernel types need no header; -I is for files with declarations of your own");
        try {
            expr::add_declarations(types_, *text);
        } catch (const expr::TextError& error) {
            const std::string_view before = std::string_view(*text).substr(0, error.at);
            const std::size_t begin = before.rfind('\n') + 1; // npos + 1: 0
            const std::string_view line =
                std::string_view(*text).substr(begin, text->find('\n', begin) - begin);
            expr::fail_at(
                cat("cannot take declarations from ", file, ", line ",
                    std::ranges::count(before, '\n') + 1),
                line, expr::TextError(error.at - begin, error.length, error.what(), error.hint));
        }
    }
}

void KernelSide::lend_types(Session& session, std::vector<KernelBtf::Name> names)
{
    if (!own_types_ || kernel_->btf->empty())
        return;
    session.types = kernel_->btf;
    for (KernelBtf::Name& name : module_type_names())
        names.push_back(std::move(name));
    kernel_->btf->expect(std::move(names));
}

std::optional<expr::KernelFunction> KernelSide::find_function(const std::string& name)
{
    if (!kernel_->types)
        return std::nullopt;
    if (auto found = kernel_->types->find_function(name))
        return found;
    for (const std::string& module : list_entries("/sys/kernel/btf"))
        if (module != "vmlinux")
            if (auto found = kernel_->types->find_module_function(module, name))
                return found;
    return std::nullopt;
}

std::optional<Prototype> KernelSide::kernel_prototype(const Tap& tap, const ProbeSpec& spec)
{
    std::optional<expr::KernelFunction> found;
    const Point& point = tap.points[0];
    if (!kernel_->types || !tap.may_be_typed)
        ;
    else if (spec.kind == PlaceKind::raw_tracepoint)
        found = kernel_->types->find_tracepoint(point.name);
    else if (point.module.empty())
        found = kernel_->types->find_function(point.name);
    else
        found = kernel_->types->find_module_function(point.module, point.name);
    if (!found || found->is_variadic)
        return std::nullopt;
    // The function that calls a tracepoint's probes has names for what it passes on.
    if (spec.kind == PlaceKind::raw_tracepoint)
        if (const auto caller = kernel_->types->find_function(cat("__traceiter_", point.name));
            caller && caller->parameters.size() == found->parameters.size() + 1)
            for (std::size_t i = 0; i < found->parameters.size(); i++)
                found->parameters[i].name = caller->parameters[i + 1].name;
    return spec.kind == PlaceKind::raw_tracepoint
               ? Prototype{.parameters = std::move(found->parameters)}
               : prototype_of(types_, *found);
}

expr::ProgramTypes* KernelSide::program_types(const Point& point)
{
    const auto [known, is_new] = programs_.try_emplace(point.object.get());
    if (is_new)
        if (auto file = open_elf(*point.object)) {
            const Fd root = root_of(pid_);
            known->second = expr::ProgramTypes::read(
                types_, std::move(*file), point.object->path,
                [&](const std::string& path) { return open_regular_in(root.get(), path); });
        }
    return known->second.get();
}

std::optional<Prototype> KernelSide::program_prototype(Tap& tap)
{
    const Point& point = tap.points[0];
    // Of several functions, or several builds of one library, nothing can be said that is true of
    // all.
    const bool is_one = tap.points.size() == 1 && point.object && !point.sites.empty() &&
                        std::ranges::all_of(point.sites, [](const Point::Site& site) {
                            return site.object == nullptr;
                        });
    expr::ProgramTypes* const types = is_one ? program_types(point) : nullptr;
    if (!types)
        return std::nullopt;
    const auto found = point.kind == Point::Kind::user && tap.offset == 0
                           ? types->find_function(point.sites[0].offset)
                           : std::nullopt;
    tap.place.types =
        std::make_shared<const expr::TypeSource>(types->source(found ? found->unit : 0));
    if (!found)
        return std::nullopt;
    Prototype made{.parameters = {found->parameters.begin(), found->parameters.end()},
                   .returns = found->result,
                   .is_variadic = found->is_variadic};
    made.words_of =
        place_arguments(types_, made.parameters, made.returns, found->has_hidden_result);
    // What gcc calls a copy of a function for some of its callers.
    const auto is_clone = [&](std::string_view suffix) {
        return point.name.find(suffix) != std::string::npos;
    };
    if (is_clone(".isra.") || is_clone(".constprop.") || is_clone(".part."))
        std::ranges::transform(found->parameters, made.words_of.begin(),
                               [](const expr::ProgramFunction::Parameter& parameter) {
                                   return parameter.dwarf_register
                                              ? argument_in_register(*parameter.dwarf_register)
                                              : std::nullopt;
                               });
    return made;
}

void KernelSide::describe(Tap& tap, const ProbeSpec& spec)
{
    std::optional<Prototype>& prototype = tap.place.prototype;
    const bool of_program = tap.place.of_program;
    if (auto found = of_program ? program_prototype(tap) : kernel_prototype(tap, spec))
        prototype = std::move(found);
    if (!spec.signature)
        return;
    try {
        const ScopeOf scope(types_, tap.place);
        auto parameters = expr::parse_signature(types_, spec.signature->text);
        if (!prototype)
            prototype.emplace();
        prototype->words_of = place_arguments(types_, parameters, prototype->returns);
        std::uint32_t of_these = 0;
        if (!of_program && spec.kind != PlaceKind::raw_tracepoint)
            prototype->typed_words_of = place_in_trampoline(types_, parameters, of_these);
        prototype->parameters = std::move(parameters);
        prototype->by_user = true;
    } catch (const expr::TextError& error) {
        throw expr::TextError(spec.signature->at + error.at, error.length, error.what(),
                              error.hint.empty() ? "put a blank before a condition" : error.hint);
    }
}

namespace
{
ContextForm context_form(const ProbeSpec& spec, body_form form)
{
    if (form == BODY_TYPED)
        return ContextForm::typed;
    return spec.kind == PlaceKind::tracepoint       ? ContextForm::tracepoint
           : spec.kind == PlaceKind::raw_tracepoint ? ContextForm::words
                                                    : ContextForm::registers;
}
} // namespace

std::uint32_t Forms::record_bytes(std::uint32_t least) const
{
    for (const auto& capture : captures)
        least = std::max(least, capture ? capture->record_bytes() : 0);
    return least;
}

Forms KernelSide::make_forms(Tap& tap, const ProbeSpec& spec, const RecordHead& head,
                             const std::function<void(Capture&)>& fill)
{
    Forms forms;
    const ScopeOf scope(types_, tap.place);
    std::optional<expr::TextError> first;
    for (const body_form form : {BODY_TYPED, BODY_PLAIN}) {
        const bool can_be = form == BODY_TYPED
                                ? tap.may_be_typed && (tap.place.prototype || !spec.typed_only)
                                : !spec.typed_only;
        if (!can_be)
            continue;
        forms.codes[form] = std::make_unique<expr::Code>(types_);
        auto capture = std::make_unique<Capture>(
            *forms.codes[form], names_at(tap.place, context_form(spec, form)), head);
        try {
            fill(*capture);
            forms.captures[form] = std::move(capture);
        } catch (const expr::TextError& error) {
            if (!first)
                first = error;
        }
    }
    if (!forms.captures[BODY_TYPED] && !forms.captures[BODY_PLAIN]) {
        if (first)
            throw expr::TextError(*first);
        throw expr::TextError(spec.place.at, spec.place.text.size(),
                              "f: and x: need one function that the kernel's BTF describes");
    }
    return forms;
}

Capture::Body KernelSide::generate(const Capture& capture, bool typed, Maps& maps)
{
    expr::Machine machine = machine_;
    machine.typed = typed;
    machine.task_btf = own_types_ && capture.uses(expr::Helper::task) && kernel_->has_task_btf();
    // Without descriptors the code says which of them it needs.
    Capture::Body body = capture.generate(machine);
    if (body.tables.empty() && !body.uses_scratch)
        return body;
    if (!body.tables.empty() && !maps.tables) {
        const auto bytes = std::uint32_t(body.tables.size() * sizeof body.tables[0]);
        maps.tables = Fd(
            bpf_map_create(BPF_MAP_TYPE_ARRAY, "trace_tables", sizeof(__u32), bytes, 1, nullptr));
        const std::uint32_t first = 0;
        if (!maps.tables ||
            bpf_map_update_elem(maps.tables.get(), &first, body.tables.data(), BPF_ANY) != 0)
            fail("cannot create a map for patterns", errno);
    }
    if (body.uses_scratch && !maps.scratch) {
        maps.scratch = Fd(bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "trace_scratch", sizeof(__u32),
                                         expr::kScratchBytes, 1, nullptr));
        if (!maps.scratch)
            fail("cannot create a map for texts", errno);
    }
    machine.tables_fd = maps.tables.get();
    machine.scratch_fd = maps.scratch.get();
    return capture.generate(machine);
}

std::vector<std::byte> KernelSide::make_object(const void* (*elf_bytes)(std::size_t*),
                                               std::initializer_list<Bodies> bodies)
{
    std::vector<Capture::Body> made;
    std::vector<expr::Body> replaced;
    made.reserve(2 * bodies.size());
    for (const Bodies& b : bodies)
        for (const body_form form : {BODY_TYPED, BODY_PLAIN})
            if (const auto& capture = b.forms.captures[form]) {
                made.push_back(generate(*capture, form == BODY_TYPED, b.maps));
                replaced.push_back(
                    {form == BODY_TYPED ? b.typed : b.plain, made.back().instructions});
            }
    std::size_t size = 0;
    const void* bytes = elf_bytes(&size);
    return expr::splice({static_cast<const std::byte*>(bytes), size}, replaced);
}

} // namespace corebox
