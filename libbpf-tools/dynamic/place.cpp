// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "place.hpp"
#include "base/text.hpp"
#include "expr/build.hpp"
#include "registers.hpp"
#include <algorithm>

namespace corebox
{
namespace
{
using expr::Code;
using expr::Helper;
using expr::Names;
using expr::NodeId;
using expr::Op;
using expr::Space;
using expr::TextError;
using expr::Type;
using expr::TypeId;

constexpr unsigned kMostArguments = 32;

// A name that stands for a longer expression.
struct Alias {
    std::string_view name, text;
};
constexpr Alias kAliases[] = {
    {"$comm", "$task->comm"},
    {"$ppid", "$task->real_parent->tgid"},
    {"$netns", "$task->nsproxy->net_ns->ns.inum"},
    {"$pidns", "$task->nsproxy->pid_ns_for_children->ns.inum"},
    {"$mntns", "$task->nsproxy->mnt_ns->ns.inum"},
};
constexpr std::string_view kCommonNames[] = {"$pid", "$tgid", "$uid",   "$gid",
                                             "$cpu", "$task", "$nsecs", "$cgroup"};

[[noreturn]] void refuse(std::string what, std::string hint = {})
{
    throw TextError(0, 0, what, std::move(hint));
}

class Builder
{
public:
    Builder(Place& place, ContextForm form, Code& code)
        : place_(place), form_(form), code_(code), types_(code.types())
    {
    }

    NodeId common(std::string_view name);
    NodeId argument(unsigned index);  // "arg1": a number of 8 bytes
    NodeId parameter(unsigned index); // by its own type
    NodeId result();
    NodeId field(const TracepointField& field);
    NodeId reg(std::string_view name);

private:
    TypeId word(bool is_signed = false) { return types_.integer(8, is_signed); }
    NodeId constant(std::int64_t n) { return expr::make_constant(code_, n, word()); }
    NodeId context() { return expr::make_context(code_); }
    NodeId helper(Helper which, TypeId type) { return expr::make_helper(code_, which, type); }
    NodeId binary(Op op, NodeId a, NodeId b) { return expr::make_binary(code_, op, a, b, word()); }
    NodeId convert(NodeId a, TypeId type) { return expr::convert(code_, a, type); }
    NodeId load(NodeId from, std::int64_t offset, TypeId type)
    {
        return expr::make_load(code_, from, offset, type);
    }
    // Of a whole word, of which a value of `type` has the lowest bytes.
    NodeId load_word(NodeId from, std::int64_t offset, TypeId type, bool trusted = false)
    {
        return code_.add({.op = Op::load,
                          .trusted = trusted,
                          .type = type,
                          .size = 8,
                          .a = from,
                          .value = offset});
    }
    // A number as 8 bytes, extended by its own type.
    NodeId widen(NodeId a)
    {
        const Type type = code_.type(a);
        return convert(a, word(type.is_number() && type.is_signed));
    }
    // From the context; the verifier may know what a pointer points to.
    NodeId context_word(std::int32_t offset, TypeId type);
    // The word of an argument, as the calling convention has it.
    NodeId argument_word(unsigned index, TypeId type);
    // Of an argument.
    std::uint32_t word_of(unsigned index);
    // A type as that of a value: user space's pointers, and texts of which nobody said where they
    // are.
    TypeId adjusted(TypeId type, unsigned index);
    NodeId operand(unsigned index);
    TypeId type_of(const TracepointField& field);

    Place& place_;
    ContextForm form_;
    Code& code_;
    expr::Types& types_;
};

NodeId Builder::common(std::string_view name)
{
    const TypeId u32 = types_.integer(4, false);
    const auto id = [&](const std::optional<std::int32_t>& at, unsigned shift) {
        if (at)
            return load(expr::make_record(code_), *at, u32);
        const NodeId both = helper(Helper::pid_tgid, word());
        return convert(shift ? binary(Op::shift_right, both, constant(shift)) : both, u32);
    };
    const auto half = [&](Helper which, unsigned shift) {
        const NodeId both = helper(which, word());
        return convert(shift ? binary(Op::shift_right, both, constant(shift)) : both, u32);
    };
    if (name == "$pid") // BCC's name of it
        return id(place_.record_tid, 0);
    if (name == "$tgid")
        return id(place_.record_pid, 32);
    if (name == "$uid")
        return half(Helper::uid_gid, 0);
    if (name == "$gid")
        return half(Helper::uid_gid, 32);
    if (name == "$cpu")
        return convert(helper(Helper::cpu, word()), u32);
    if (name == "$nsecs")
        return helper(Helper::ktime_ns, word());
    if (name == "$cgroup")
        return helper(Helper::cgroup_id, word());
    if (name != "$task")
        return NodeId::none;
    const auto task = types_.find("struct", "task_struct");
    if (!task)
        refuse("the kernel provides no BTF, so the type of $task is not known",
               "give the kernel's types with --btf");
    return helper(Helper::task, types_.pointer_to(*task, Space::kernel));
}

NodeId Builder::context_word(std::int32_t offset, TypeId type)
{
    const Type& t = types_[type];
    const bool trusted = form_ == ContextForm::typed &&
                         !(place_.prototype && place_.prototype->by_user) &&
                         t.kind == Type::Kind::pointer && t.space == Space::kernel &&
                         types_[t.target].kernel_id != 0;
    return load_word(context(), offset, type, trusted);
}

NodeId Builder::argument_word(unsigned index, TypeId type)
{
    const auto on_stack = [&] {
        refuse(cat("argument ", index + 1, " of ", place_.name,
                   " is on the stack, where this probe does not read it"),
               place_.of_program ? "" : "f: has all arguments");
    };
    if (place_.is_wrapper) {
        const auto at = registers::syscall_argument(index);
        if (!at)
            refuse("a system call has 6 arguments at most");
        const auto regs = types_.find("struct", "pt_regs");
        const TypeId pointer = types_.pointer_to(regs.value_or(TypeId::none), Space::kernel);
        const auto first = form_ == ContextForm::registers ? registers::argument(0).value_or(0) : 0;
        return load_word(context_word(first, pointer), *at, type);
    }
    if (form_ != ContextForm::registers)
        return context_word(std::int32_t(8 * index), type);
    const auto at = registers::argument(index);
    if (!at)
        on_stack();
    return context_word(*at, type);
}

std::uint32_t Builder::word_of(unsigned index)
{
    static const ArgumentWords kNth;
    const ArgumentWords& words = !place_.prototype             ? kNth
                                 : form_ == ContextForm::typed ? place_.prototype->typed_words_of
                                                               : place_.prototype->words_of;
    if (words.empty())
        return index;
    if (index < words.size()) {
        if (!words[index])
            refuse(cat("parameter ", index + 1, " of ", place_.name, " is in no register"));
        return *words[index];
    }
    // One of those that "..." stands for.
    const auto last = std::ranges::max(words);
    return (last ? *last + 1 : 0) + (index - std::uint32_t(words.size()));
}

TypeId Builder::adjusted(TypeId type, unsigned index)
{
    const Type t = types_[type];
    if (t.kind != Type::Kind::pointer)
        return type;
    if (place_.of_program || (place_.user_arguments >> index & 1))
        return types_.pointer_to(t.target, Space::user);
    // Only kernels from 6.1 on have __user in their BTF.
    const Type& target = types_[t.target];
    const bool untold = t.target == TypeId::none || target.is_char;
    return untold && t.space == Space::kernel ? types_.pointer_to(t.target, Space::unknown) : type;
}

NodeId Builder::operand(unsigned index)
{
    const usdt_operand& o = place_.operands[index];
    // One that cannot be read has no size; below it is refused.
    const TypeId own = types_.integer(o.kind == USDT_NONE ? 8 : o.size, o.is_signed);
    const auto pointer = types_.pointer_to(own, Space::user);
    switch (o.kind) {
    case USDT_CONSTANT:
        return convert(constant(o.offset), own);
    case USDT_REGISTER: {
        const NodeId whole = load(context(), o.base, word());
        return convert(o.shift ? binary(Op::shift_right, whole, constant(o.shift)) : whole, own);
    }
    case USDT_RELATIVE:
        return load(convert(load(context(), registers::instruction(), word()), pointer), o.offset,
                    own);
    case USDT_MEMORY: {
        NodeId at = o.base == USDT_NO_BASE ? constant(0) : load(context(), o.base, word());
        if (o.scale)
            at = binary(Op::add, at,
                        binary(Op::multiply, load(context(), o.index, word()), constant(o.scale)));
        return load(convert(at, pointer), o.offset, own);
    }
    default:
        refuse(
            cat("argument ", index + 1, " of ", place_.name, " is in a place that cannot be read"));
    }
}

NodeId Builder::argument(unsigned index)
{
    if (index >= kMostArguments)
        refuse("no function has so many arguments");
    if (place_.kind == PlaceKind::returns && form_ != ContextForm::typed)
        refuse("arguments are gone when a function returns",
               place_.of_program ? "trace its entry" : "x: has them too");
    if (place_.kind == PlaceKind::tracepoint)
        refuse("a tracepoint has fields: args->NAME");
    if (place_.kind == PlaceKind::usdt) {
        if (index >= place_.operands.size())
            refuse(cat(place_.name, " has ", place_.operands.size(),
                       place_.operands.size() == 1 ? " argument" : " arguments"));
        return widen(operand(index));
    }
    const bool is_marked = place_.user_arguments >> index & 1;
    if (place_.prototype && !place_.is_wrapper && !place_.prototype->is_variadic &&
        index >= place_.prototype->parameters.size())
        refuse(cat(place_.name, " has ", place_.prototype->parameters.size(),
                   place_.prototype->parameters.size() == 1 ? " parameter" : " parameters"));
    if (is_marked)
        return argument_word(word_of(index), types_.pointer_to(types_.character(), Space::user));
    if (!place_.prototype || index >= place_.prototype->parameters.size())
        return argument_word(word_of(index), word());
    return widen(parameter(index));
}

NodeId Builder::parameter(unsigned index)
{
    if (place_.kind == PlaceKind::returns && form_ != ContextForm::typed)
        refuse("arguments are gone when a function returns",
               place_.of_program ? "trace its entry" : "x: has them too");
    const TypeId type = place_.prototype->parameters[index].type;
    const Type& t = types_[type];
    if (!t.is_number() && t.kind != Type::Kind::pointer)
        refuse(cat("parameter ", index + 1, " of ", place_.name, " is ",
                   t.kind == Type::Kind::floating ? "a floating-point number"
                                                  : "no number and no pointer"));
    return argument_word(word_of(index), adjusted(type, index));
}

NodeId Builder::result()
{
    if (place_.kind != PlaceKind::returns)
        refuse("there is no return value here", "trace the return: r:LIB:FUNCTION, or x:FUNCTION");
    constexpr std::uint32_t kUnknown = ~0u;
    const std::uint32_t words =
        place_.prototype ? place_.prototype->words.value_or(kUnknown) : kUnknown;
    if (form_ == ContextForm::typed && words == kUnknown)
        refuse("the kernel's BTF does not describe the function");
    TypeId type = word();
    const TypeId known = place_.prototype ? place_.prototype->returns : TypeId::none;
    if (known != TypeId::none &&
        (types_[known].is_number() || types_[known].kind == Type::Kind::pointer)) {
        type = adjusted(known, kMostArguments - 1);
    } else if (form_ == ContextForm::typed && !place_.prototype->by_user) {
        refuse(cat(place_.name, " returns nothing"));
    }
    const std::int32_t at =
        form_ == ContextForm::typed ? std::int32_t(8 * words) : registers::result();
    const NodeId value = context_word(at, type);
    return types_[type].kind == Type::Kind::pointer ? value : widen(value);
}

TypeId Builder::type_of(const TracepointField& field)
{
    std::string_view name = field.type;
    for (const std::string_view word : {"const ", "volatile "})
        if (name.starts_with(word))
            name.remove_prefix(word.size());
    std::string_view base = name.substr(0, name.find('*'));
    while (base.ends_with(' '))
        base.remove_suffix(1);
    std::string_view keyword;
    for (const std::string_view word : {"struct", "union", "enum"})
        if (base.starts_with(word) && base.substr(word.size()).starts_with(' ')) {
            keyword = word;
            base.remove_prefix(word.size() + 1);
        }
    const auto known = types_.find(keyword, base);
    const bool of_syscall = place_.name.starts_with("syscalls:");
    if (name.find('*') != name.npos || (of_syscall && base.ends_with("ptr_t"))) {
        const TypeId target = known.value_or(TypeId::none);
        // Most of these are given by programs.
        return types_.pointer_to(target, of_syscall ? Space::user
                                         : target == TypeId::none || types_[target].is_char
                                             ? Space::unknown
                                             : Space::kernel);
    }
    if (known && types_[*known].is_number() && types_[*known].size <= field.size)
        return *known;
    // The words of a system call's record are wider than an int.
    if (base == "int" || base == "unsigned int" || base == "unsigned")
        return types_.integer(4, base == "int");
    const bool is_size = field.size == 1 || field.size == 2 || field.size == 4 || field.size == 8;
    return is_size ? types_.integer(field.size, field.is_signed) : TypeId::none;
}

NodeId Builder::field(const TracepointField& field)
{
    using Form = TracepointField::Form;
    const TypeId type = type_of(field);
    const bool is_text = types_[type].is_char || field.type.find("char") != std::string::npos;
    switch (field.form) {
    case Form::plain: {
        if (type == TypeId::none)
            break;
        const Type& t = types_[type];
        return t.size < field.size ? load_word(context(), field.offset, type)
                                   : load(context(), field.offset, type);
    }
    case Form::array: {
        if (is_text)
            return expr::make_text(code_, context(), field.offset, field.size);
        const auto element = types_.find("", field.type);
        const TypeId of =
            element && types_[*element].is_number() ? *element : types_.integer(1, false);
        return load(context(), field.offset, types_.array_of(of, field.size / types_[of].size));
    }
    case Form::data_loc:
    case Form::rel_loc: {
        const NodeId place =
            convert(load(context(), field.offset, types_.integer(4, false)), word());
        const NodeId offset = binary(Op::bit_and, place, constant(0xffff));
        const std::int64_t from = field.form == Form::rel_loc ? std::int64_t(field.offset) + 4 : 0;
        const TypeId of = is_text ? types_.character() : types_.integer(1, false);
        const NodeId at = code_.add({.op = Op::add,
                                     .type = types_.pointer_to(of, Space::kernel),
                                     .a = context(),
                                     .b = offset});
        if (is_text)
            return expr::make_text(code_, at, from, 0);
        return expr::make_address(code_, at, from, code_[at].type);
    }
    }
    refuse(cat("field ", field.name, " of ", field.size, " bytes is no number"));
}

NodeId Builder::reg(std::string_view name)
{
    if (form_ != ContextForm::registers)
        refuse("this probe has no registers", "use p: or r:");
    const auto at = registers::find(name);
    place_.reads_registers |= bool(at);
    return at ? load(context(), *at, word()) : NodeId::none;
}

// "arg3": 2.
std::optional<unsigned> argument_number(std::string_view name)
{
    if (!name.starts_with("arg") || name.size() < 4 || name[3] == '0')
        return std::nullopt;
    const auto n = to_number<unsigned>(name.substr(3));
    return n ? std::optional(*n - 1) : std::nullopt;
}

} // namespace

Prototype prototype_of(const expr::Types& types, const expr::KernelFunction& function)
{
    Prototype made{.parameters = function.parameters,
                   .returns = function.result,
                   .words_of = place_arguments(types, function.parameters, function.result)};
    std::uint32_t words = 0;
    made.typed_words_of = place_in_trampoline(types, function.parameters, words);
    made.words = words;
    return made;
}

bool is_syscall_wrapper(std::string_view function)
{
    return std::ranges::any_of(
        std::initializer_list<std::string_view>{"__x64_sys_", "__ia32_sys_", "__arm64_sys_"},
        [&](std::string_view prefix) { return function.starts_with(prefix); });
}

Names names_at(Place& place, ContextForm form)
{
    Names names;
    const auto find_field = [&place](std::string_view name) {
        return std::ranges::find(place.fields, name, &TracepointField::name);
    };
    // Aliases are parsed with these names: a copy of what is returned would refer to itself.
    names.find = [&place, form, find_field](Code& code, std::string_view name) -> NodeId {
        Builder builder(place, form, code);
        for (const Alias& alias : kAliases)
            if (name == alias.name)
                return expr::parse_value(code, names_at(place, form), alias.text).node;
        if (const NodeId node = builder.common(name); node != NodeId::none)
            return node;
        if (name == "retval" || name == "$retval")
            return builder.result();
        if (place.prototype)
            for (unsigned i = 0; i < place.prototype->parameters.size(); i++)
                if (place.prototype->parameters[i].name == name)
                    return builder.parameter(i);
        if (const auto number = argument_number(name))
            return builder.argument(*number);
        if (const auto field = find_field(name); field != place.fields.end())
            return builder.field(*field);
        return NodeId::none;
    };
    names.field = [&place, form, find_field](Code& code, std::string_view object,
                                             std::string_view member) -> NodeId {
        Builder builder(place, form, code);
        if (object == "ctx" && place.fields.empty())
            return builder.reg(member);
        const auto field = find_field(member);
        const bool is_record = object == "args" || (object == "ctx" && !place.fields.empty());
        if (!is_record || place.fields.empty())
            return NodeId::none;
        if (field == place.fields.end()) {
            std::string all;
            for (const TracepointField& f : place.fields)
                all += cat(all.empty() ? "its fields: " : ", ", f.name);
            refuse(cat("no field '", member, "' in ", place.name), all);
        }
        return builder.field(*field);
    };
    names.all = [&place, form] {
        std::vector<std::string> all(std::begin(kCommonNames), std::end(kCommonNames));
        for (const Alias& alias : kAliases)
            all.emplace_back(alias.name);
        if (place.prototype)
            for (const expr::Parameter& p : place.prototype->parameters)
                all.push_back(p.name);
        for (const TracepointField& f : place.fields)
            all.push_back(f.name);
        if (place.kind == PlaceKind::returns)
            all.emplace_back("retval");
        if (form == ContextForm::registers)
            for (const std::string_view reg : registers::names())
                all.emplace_back(reg);
        return all;
    };
    return names;
}

} // namespace corebox
