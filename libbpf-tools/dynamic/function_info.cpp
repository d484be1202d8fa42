// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "function_info.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "declare.hpp"
#include "output/output.hpp"
#include <algorithm>

namespace corebox
{
namespace
{
using expr::Type;
using expr::TypeId;

// The structure that a value is or leads to; none: it does not.
TypeId structure_of(const expr::Types& types, TypeId type)
{
    for (unsigned hops = 0; hops < 4; hops++) {
        const Type& t = types[type];
        if (t.kind == Type::Kind::structure)
            return t.size ? type : TypeId::none;
        if (t.kind != Type::Kind::pointer && t.kind != Type::Kind::array)
            break;
        type = t.target;
    }
    return TypeId::none;
}

void add_once(std::vector<TypeId>& all, TypeId type)
{
    if (type != TypeId::none && std::ranges::find(all, type) == all.end())
        all.push_back(type);
}

std::vector<TypeId> structures(KernelSide& kernel, const SnoopSpec& spec,
                               const expr::KernelFunction& function)
{
    expr::Types& types = kernel.types();
    std::vector<TypeId> all;
    if (spec.arguments.empty()) {
        for (const expr::Parameter& p : function.parameters)
            add_once(all, structure_of(types, p.type));
        return all;
    }
    Place place{.kind = PlaceKind::returns, // which has the arguments too, when typed
                .name = function.name,
                .prototype = prototype_of(types, function)};
    expr::Code code(types);
    const expr::Names names = with_return(names_at(place, ContextForm::typed));
    for (const SnoopSpec::Argument& argument : spec.arguments) {
        if (argument.value.text.empty())
            continue;
        try {
            const expr::Shown shown = expr::parse_value(code, names, argument.value.text);
            add_once(all, structure_of(types, code[shown.node].type));
        } catch (const expr::TextError& error) {
            throw expr::TextError(argument.value.at + error.at, error.length, error.what(),
                                  error.hint);
        }
    }
    return all;
}

void append_members(std::string& out, const expr::Types& types, TypeId structure)
{
    out += '[';
    for (const expr::Member& m : types.members(structure)) {
        if (out.back() != '[')
            out += ',';
        out += '{';
        put_json_key(out, "name");
        put_json_string(out, m.name);
        put_json_key(out, "type");
        put_json_string(out, declare(types, m.type));
        put_json_key(out, "bit");
        put_number(out, m.bit);
        put_json_key(out, "bits");
        put_number(out, m.bits ? m.bits : types[m.type].size * 8);
        // What has no name has its members here.
        if (m.name.empty() && types[m.type].kind == Type::Kind::structure) {
            put_json_key(out, "members");
            append_members(out, types, m.type);
        }
        out += '}';
    }
    out += ']';
}

void append_json(std::string& out, const expr::Types& types, const expr::KernelFunction& function,
                 std::span<const TypeId> structures)
{
    out += '{';
    put_json_key(out, "function");
    put_json_string(out, function.name);
    put_json_key(out, "module");
    function.module.empty() ? void(out += "null") : put_json_string(out, function.module);
    put_json_key(out, "returns");
    put_json_string(out, declare(types, function.result));
    put_json_key(out, "parameters");
    out += '[';
    for (const expr::Parameter& p : function.parameters) {
        out += out.back() == '[' ? "{" : ",{";
        put_json_key(out, "name");
        put_json_string(out, p.name);
        put_json_key(out, "type");
        put_json_string(out, declare(types, p.type));
        out += '}';
    }
    out += ']';
    put_json_key(out, "structures");
    out += '[';
    for (const TypeId structure : structures) {
        out += out.back() == '[' ? "{" : ",{";
        put_json_key(out, "type");
        put_json_string(out, declare(types, structure));
        put_json_key(out, "bytes");
        put_number(out, types[structure].size);
        put_json_key(out, "members");
        append_members(out, types, structure);
        out += '}';
    }
    out += "]}\n";
}

} // namespace

void append_function_info(std::string& out, KernelSide& kernel, const SnoopSpec& spec, bool json)
{
    const auto function = kernel.find_function(std::string(spec.function.text));
    if (!function)
        fail(cat("cannot find ", spec.function.text), "no BTF describes it",
             cat("ksnoop info names a function; tplist --functions 'PATTERN' lists them"));
    const std::vector<TypeId> all = structures(kernel, spec, *function);
    const expr::Types& types = kernel.types();
    if (json)
        return append_json(out, types, *function, all);
    if (!function->module.empty())
        out += cat("/* module ", function->module, " */\n");
    out +=
        cat(declare_function(types, function->name, function->parameters, function->result), "\n");
    for (const TypeId structure : all) {
        out += '\n';
        append_declaration(out, types, structure);
    }
}

} // namespace corebox
