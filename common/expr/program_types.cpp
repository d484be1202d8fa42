// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// DWARF 2 to 5 (dwarfstd.org). The file may be anybody's: what it says is followed for a bounded
// number of steps, and never into another file. What is in such another one (split DWARF, the
// common file of dwz) is not known.
#include "expr/program_types.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <unordered_map>

namespace corebox::expr
{

namespace
{

constexpr unsigned kMostHops = 32;              // of typedefs, pointers, arrays, origins
constexpr unsigned kMostNested = 8;             // namespaces and classes
constexpr std::size_t kMostMembers = 64 << 10;  // of one type, or parameters of a function
constexpr std::size_t kMostDies = 16 << 20;     // that one search looks at
constexpr std::uint64_t kMostBytes = 512 << 20; // of .debug_info: it is read as a whole

bool is_elsewhere(unsigned form)
{
    return form == DW_FORM_GNU_ref_alt || form == DW_FORM_GNU_strp_alt ||
           form == DW_FORM_ref_sup4 || form == DW_FORM_ref_sup8 || form == DW_FORM_strp_sup;
}

// What an attribute refers to.
std::optional<Dwarf_Die> referred(Dwarf_Die& die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Die to;
    if (!dwarf_attr(&die, name, &attribute) || is_elsewhere(attribute.form) ||
        !dwarf_formref_die(&attribute, &to))
        return std::nullopt;
    return to;
}

// Of the entry itself, or of what it is an instance or the definition of.
std::optional<Dwarf_Attribute> attribute_of(Dwarf_Die die, unsigned name)
{
    for (unsigned hops = 0; hops < kMostHops; hops++) {
        Dwarf_Attribute attribute;
        if (dwarf_attr(&die, name, &attribute))
            return is_elsewhere(attribute.form) ? std::nullopt : std::optional(attribute);
        auto origin = referred(die, DW_AT_abstract_origin);
        if (!origin)
            origin = referred(die, DW_AT_specification);
        if (!origin)
            break;
        die = *origin;
    }
    return std::nullopt;
}

std::string name_of(const Dwarf_Die& die)
{
    auto attribute = attribute_of(die, DW_AT_name);
    const char* text = attribute ? dwarf_formstring(&*attribute) : nullptr;
    return text ? text : "";
}

std::optional<Dwarf_Die> type_of(const Dwarf_Die& die)
{
    auto attribute = attribute_of(die, DW_AT_type);
    Dwarf_Die type;
    if (!attribute || !dwarf_formref_die(&*attribute, &type))
        return std::nullopt;
    return type;
}

std::optional<std::uint64_t> number_of(const Dwarf_Die& die, unsigned name)
{
    auto attribute = attribute_of(die, name);
    Dwarf_Word value;
    if (!attribute || dwarf_formudata(&*attribute, &value) != 0)
        return std::nullopt;
    return value;
}

bool is_marked(Dwarf_Die& die, unsigned name)
{
    Dwarf_Attribute attribute;
    bool value = false;
    return dwarf_attr(&die, name, &attribute) && dwarf_formflag(&attribute, &value) == 0 && value;
}

// Until `each` says true.
template <class Each>
bool for_each_child(Dwarf_Die& die, Each&& each)
{
    Dwarf_Die child;
    std::size_t n = 0;
    for (int left = dwarf_child(&die, &child); left == 0 && n < kMostDies;
         left = dwarf_siblingof(&child, &child), n++)
        if (each(child))
            return true;
    return false;
}

bool is_structure(int tag)
{
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

bool is_named_by(int tag, std::string_view keyword)
{
    if (keyword == "struct")
        return tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
    if (keyword == "union")
        return tag == DW_TAG_union_type;
    if (keyword == "enum")
        return tag == DW_TAG_enumeration_type;
    // C++ and Rust need no keyword.
    return tag == DW_TAG_typedef || tag == DW_TAG_base_type || is_structure(tag) ||
           tag == DW_TAG_enumeration_type;
}

bool has_inner_names(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_module || is_structure(tag);
}

} // namespace

class ProgramTypes::Impl
{
public:
    Impl(Types& types, ElfFile file, std::uint64_t bias, std::vector<Segment> segments)
        : types_(types), file_(std::move(file)), bias_(bias), segments_(std::move(segments)),
          dwarf_(dwarf_begin_elf(file_.libelf(), DWARF_C_READ, nullptr))
    {
    }

    bool is_good() const { return dwarf_ != nullptr; }

    std::optional<ProgramFunction> find_function(std::uint64_t file_offset);
    std::optional<TypeId> find_type(std::uint64_t unit, std::string_view keyword,
                                    std::string_view name);
    std::optional<std::int64_t> find_enumerator(std::uint64_t unit, std::string_view name);
    std::vector<std::string> names(std::uint64_t unit, std::string_view keyword);

private:
    struct End {
        void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
    };

    template <class Each>
    bool for_each_unit(Each&& each)
    {
        Dwarf_CU* unit = nullptr;
        Dwarf_Die die;
        while (dwarf_get_units(dwarf_.get(), unit, &unit, nullptr, nullptr, &die, nullptr) == 0)
            if (each(die))
                return true;
        return false;
    }
    std::optional<Dwarf_Die> unit_at(std::uint64_t offset)
    {
        Dwarf_Die die;
        return offset != 0 && dwarf_offdie(dwarf_.get(), offset, &die) ? std::optional(die)
                                                                       : std::nullopt;
    }
    // A definition, also in namespaces and classes.
    bool find_definition(Dwarf_Die& in, std::string_view keyword, std::string_view name,
                         Dwarf_Die& found, unsigned depth = 0);
    bool find_definition_anywhere(std::uint64_t unit, std::string_view keyword,
                                  std::string_view name, Dwarf_Die& found);
    std::optional<std::int64_t> find_enumerator(Dwarf_Die& in, std::string_view name,
                                                unsigned depth = 0);
    bool find_code(Dwarf_Die& in, Dwarf_Addr address, Dwarf_Die& found, unsigned depth = 0);
    ProgramFunction describe(Dwarf_Die& function, Dwarf_Addr address);

    TypeId import(const std::optional<Dwarf_Die>& die, unsigned hops = 0);
    TypeId import_new(Dwarf_Die& die, unsigned hops);
    TypeId import_base(const Dwarf_Die& die, std::string name);
    TypeId import_structure(Dwarf_Die& die);
    TypeId import_enumeration(Dwarf_Die& die);
    TypeId import_array(Dwarf_Die& die, unsigned hops);
    TypeId import_typedef(Dwarf_Die& die, unsigned hops);
    std::vector<Member> members(Dwarf_Die die);
    std::optional<Member> member(Dwarf_Die& die);
    std::vector<Enumerator> enumerators(Dwarf_Die die, bool is_signed);

    Types& types_;
    ElfFile file_;
    std::uint64_t bias_;            // see DebugFile
    std::vector<Segment> segments_; // of the program
    std::unique_ptr<Dwarf, End> dwarf_;
    std::unordered_map<const void*, TypeId> imported_; // by the entry's place
};

// --- finding ------------------------------------------------------------------------------------

bool ProgramTypes::Impl::find_code(Dwarf_Die& in, Dwarf_Addr address, Dwarf_Die& found,
                                   unsigned depth)
{
    return for_each_child(in, [&](Dwarf_Die& die) {
        const int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram) {
            Dwarf_Addr begin;
            if (dwarf_lowpc(&die, &begin) != 0 && dwarf_entrypc(&die, &begin) != 0)
                return false;
            if (begin != address)
                return false;
            found = die;
            return true;
        }
        return has_inner_names(tag) && depth < kMostNested &&
               find_code(die, address, found, depth + 1);
    });
}

std::optional<ProgramFunction> ProgramTypes::Impl::find_function(std::uint64_t offset)
{
    const auto segment = std::ranges::find_if(segments_, [&](const Segment& s) {
        return s.executable && offset >= s.offset && offset - s.offset < s.file_size;
    });
    if (segment == segments_.end())
        return std::nullopt;
    const Dwarf_Addr address = segment->address + (offset - segment->offset) - bias_;
    Dwarf_Die unit, function;
    // .debug_aranges knows the unit; compilers other than gcc leave that out.
    if (!dwarf_addrdie(dwarf_.get(), address, &unit) && !for_each_unit([&](Dwarf_Die& die) {
            unit = die;
            return dwarf_haspc(&die, address) == 1;
        }))
        return std::nullopt;
    if (!find_code(unit, address, function))
        return std::nullopt;
    ProgramFunction described = describe(function, address);
    described.unit = dwarf_dieoffset(&unit);
    return described;
}

ProgramFunction ProgramTypes::Impl::describe(Dwarf_Die& function, Dwarf_Addr address)
{
    const auto result = type_of(function);
    ProgramFunction made{.result = import(result)};
    // A class with a copy constructor or a destructor is passed, and returned, by its address.
    const auto by_address = [](const std::optional<Dwarf_Die>& type) {
        return type && number_of(*type, DW_AT_calling_convention) == DW_CC_pass_by_reference;
    };
    if (by_address(result)) {
        made.result = types_.pointer_to(made.result, Space::user);
        made.has_hidden_result = true;
    }
    for_each_child(function, [&](Dwarf_Die& die) {
        made.is_variadic |= dwarf_tag(&die) == DW_TAG_unspecified_parameters;
        if (dwarf_tag(&die) != DW_TAG_formal_parameter)
            return false;
        ProgramFunction::Parameter parameter;
        parameter.name = name_of(die);
        const auto type = type_of(die);
        parameter.type = import(type);
        if (by_address(type))
            parameter.type = types_.pointer_to(parameter.type, Space::user);
        Dwarf_Attribute location;
        Dwarf_Op* operations;
        std::size_t count = 0;
        if (dwarf_attr(&die, DW_AT_location, &location) &&
            dwarf_getlocation_addr(&location, address, &operations, &count, 1) == 1 && count == 1) {
            const unsigned op = operations[0].atom;
            if (op >= DW_OP_reg0 && op <= DW_OP_reg31)
                parameter.dwarf_register = op - DW_OP_reg0;
            else if (op == DW_OP_regx)
                parameter.dwarf_register = std::uint32_t(operations[0].number);
        }
        made.parameters.push_back(std::move(parameter));
        return made.parameters.size() == kMostMembers;
    });
    return made;
}

bool ProgramTypes::Impl::find_definition(Dwarf_Die& in, std::string_view keyword,
                                         std::string_view name, Dwarf_Die& found, unsigned depth)
{
    return for_each_child(in, [&](Dwarf_Die& die) {
        const int tag = dwarf_tag(&die);
        if (is_named_by(tag, keyword) && !is_marked(die, DW_AT_declaration) &&
            name_of(die) == name) {
            found = die;
            return true;
        }
        return has_inner_names(tag) && depth < kMostNested &&
               find_definition(die, keyword, name, found, depth + 1);
    });
}

bool ProgramTypes::Impl::find_definition_anywhere(std::uint64_t unit, std::string_view keyword,
                                                  std::string_view name, Dwarf_Die& found)
{
    auto first = unit_at(unit);
    if (first && find_definition(*first, keyword, name, found))
        return true;
    return for_each_unit([&](Dwarf_Die& die) {
        return dwarf_dieoffset(&die) != unit && find_definition(die, keyword, name, found);
    });
}

std::optional<TypeId> ProgramTypes::Impl::find_type(std::uint64_t unit, std::string_view keyword,
                                                    std::string_view name)
{
    Dwarf_Die found;
    if (!find_definition_anywhere(unit, keyword, name, found))
        return std::nullopt;
    return import(found);
}

std::optional<std::int64_t>
ProgramTypes::Impl::find_enumerator(Dwarf_Die& in, std::string_view name, unsigned depth)
{
    std::optional<std::int64_t> value;
    for_each_child(in, [&](Dwarf_Die& type) {
        const int tag = dwarf_tag(&type);
        if (tag == DW_TAG_enumeration_type) {
            for (const Enumerator& e : types_.enumerators(import(type)))
                if (e.name == name)
                    value = e.value;
        } else if (has_inner_names(tag) && depth < kMostNested) {
            value = find_enumerator(type, name, depth + 1);
        }
        return value.has_value();
    });
    return value;
}

std::optional<std::int64_t> ProgramTypes::Impl::find_enumerator(std::uint64_t unit,
                                                                std::string_view name)
{
    auto die = unit_at(unit);
    return die ? find_enumerator(*die, name) : std::nullopt;
}

std::vector<std::string> ProgramTypes::Impl::names(std::uint64_t unit, std::string_view keyword)
{
    std::vector<std::string> all;
    if (auto die = unit_at(unit))
        for_each_child(*die, [&](Dwarf_Die& type) {
            if (is_named_by(dwarf_tag(&type), keyword))
                all.push_back(name_of(type));
            return all.size() == kMostMembers;
        });
    return all;
}

// --- importing ----------------------------------------------------------------------------------

TypeId ProgramTypes::Impl::import(const std::optional<Dwarf_Die>& from, unsigned hops)
{
    if (!from || hops > kMostHops)
        return TypeId::none;
    Dwarf_Die die = *from;
    if (const auto known = imported_.find(die.addr); known != imported_.end())
        return known->second;
    const TypeId made = import_new(die, hops);
    imported_.emplace(die.addr, made);
    return made;
}

TypeId ProgramTypes::Impl::import_new(Dwarf_Die& die, unsigned hops)
{
    switch (dwarf_tag(&die)) {
    case DW_TAG_base_type:
        return import_base(die, name_of(die));
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
    case DW_TAG_immutable_type:
    case DW_TAG_packed_type:
        return import(type_of(die), hops + 1);
    case DW_TAG_typedef:
        return import_typedef(die, hops);
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        return types_.pointer_to(import(type_of(die), hops + 1), Space::user);
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        return import_structure(die);
    case DW_TAG_enumeration_type:
        return import_enumeration(die);
    case DW_TAG_array_type:
        return import_array(die, hops);
    default:
        return types_.add({.name = "function"});
    }
}

// `name`: its own, or that of a typedef.
TypeId ProgramTypes::Impl::import_base(const Dwarf_Die& die, std::string name)
{
    const auto size = std::uint32_t(number_of(die, DW_AT_byte_size).value_or(0));
    const std::uint64_t encoding = number_of(die, DW_AT_encoding).value_or(0);
    const bool is_number = size == 1 || size == 2 || size == 4 || size == 8;
    switch (encoding) {
    case DW_ATE_boolean:
        return types_.boolean();
    case DW_ATE_float:
        return types_.add({.kind = Type::Kind::floating, .size = size, .name = std::move(name)});
    case DW_ATE_signed:
    case DW_ATE_signed_char:
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
    case DW_ATE_address:
        if (is_number)
            return types_.add(
                {.kind = Type::Kind::integer,
                 .is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char,
                 .is_char = size == 1 && name.find("char") != name.npos,
                 .size = size,
                 .name = std::move(name)});
        [[fallthrough]];
    default:
        return types_.add({.size = size, .name = std::move(name)});
    }
}

// One of a number or of a nameless structure has the typedef's name; else it is what it stands for.
TypeId ProgramTypes::Impl::import_typedef(Dwarf_Die& die, unsigned hops)
{
    auto target = type_of(die);
    for (unsigned i = 0; target && i < kMostHops; i++) {
        const int tag = dwarf_tag(&*target);
        if (tag == DW_TAG_base_type && name_of(*target).find("char") == std::string::npos)
            return import_base(*target, name_of(die));
        // A byte with a name of its own (uint8_t) is a number, no text.
        if (tag == DW_TAG_base_type) {
            const Type& base = types_[import(target, hops + 1)];
            return base.kind == Type::Kind::integer ? types_.integer(base.size, base.is_signed)
                                                    : import(target, hops + 1);
        }
        if (tag != DW_TAG_const_type && tag != DW_TAG_volatile_type && tag != DW_TAG_typedef)
            break;
        target = type_of(*target);
    }
    return import(target, hops + 1);
}

TypeId ProgramTypes::Impl::import_structure(Dwarf_Die& die)
{
    const bool is_union = dwarf_tag(&die) == DW_TAG_union_type;
    const std::string name = name_of(die);
    const auto size = number_of(die, DW_AT_byte_size);
    if (is_marked(die, DW_AT_declaration)) {
        Dwarf_Die unit, whole;
        if (!name.empty() && dwarf_diecu(&die, &unit, nullptr, nullptr) &&
            find_definition_anywhere(dwarf_dieoffset(&unit), is_union ? "union" : "struct", name,
                                     whole))
            return import(whole);
    }
    return types_.add({.kind = Type::Kind::structure,
                       .size = std::uint32_t(size.value_or(0)),
                       .name = name.empty() ? "" : cat(is_union ? "union " : "struct ", name)},
                      [this, die](TypeId) { return members(die); });
}

std::optional<Member> ProgramTypes::Impl::member(Dwarf_Die& die)
{
    const int tag = dwarf_tag(&die);
    const bool is_base = tag == DW_TAG_inheritance;
    // Static ones are somewhere else, and so are virtual bases: at a place that only runs tell.
    if ((tag != DW_TAG_member && !is_base) || is_marked(die, DW_AT_external) ||
        is_marked(die, DW_AT_declaration) || number_of(die, DW_AT_virtuality).value_or(0) != 0)
        return std::nullopt;
    const auto bits = number_of(die, DW_AT_bit_size);
    const auto type = type_of(die);
    const TypeId imported = import(type);
    Member made{.name = is_base ? "" : name_of(die),
                .type = imported,
                .bits = std::uint32_t(bits.value_or(0))};
    if (const auto at = number_of(die, DW_AT_data_bit_offset)) {
        made.bit = std::uint32_t(*at);
        return made;
    }
    std::uint64_t byte = 0;
    if (const auto at = number_of(die, DW_AT_data_member_location))
        byte = *at;
    else if (attribute_of(die, DW_AT_data_member_location))
        return std::nullopt; // an expression
    made.bit = std::uint32_t(8 * byte);
    // DWARF 2 and 3 count the bits of a bitfield from the other end of its storage.
    if (const auto from_end = number_of(die, DW_AT_bit_offset); from_end && bits)
        made.bit +=
            std::uint32_t(8 * number_of(die, DW_AT_byte_size).value_or(types_[imported].size) -
                          *from_end - *bits);
    return made;
}

std::vector<Member> ProgramTypes::Impl::members(Dwarf_Die die)
{
    std::vector<Member> all;
    for_each_child(die, [&](Dwarf_Die& child) {
        if (auto made = member(child))
            all.push_back(std::move(*made));
        return all.size() == kMostMembers;
    });
    return all;
}

TypeId ProgramTypes::Impl::import_enumeration(Dwarf_Die& die)
{
    const std::string name = name_of(die);
    const TypeId underlying = import(type_of(die));
    bool is_signed = underlying != TypeId::none && types_[underlying].is_signed;
    if (underlying == TypeId::none)
        for (const Enumerator& e : enumerators(die, true))
            is_signed = is_signed || e.value < 0;
    return types_.add({.kind = Type::Kind::enumeration,
                       .is_signed = is_signed,
                       .size = std::uint32_t(number_of(die, DW_AT_byte_size).value_or(4)),
                       .name = name.empty() ? "" : cat("enum ", name)},
                      nullptr,
                      [this, die, is_signed](TypeId) { return enumerators(die, is_signed); });
}

std::vector<Enumerator> ProgramTypes::Impl::enumerators(Dwarf_Die die, bool is_signed)
{
    std::vector<Enumerator> all;
    for_each_child(die, [&](Dwarf_Die& child) {
        auto attribute = attribute_of(child, DW_AT_const_value);
        Dwarf_Sword value;
        Dwarf_Word word;
        if (dwarf_tag(&child) != DW_TAG_enumerator || !attribute)
            return false;
        if (is_signed && dwarf_formsdata(&*attribute, &value) == 0)
            all.push_back({name_of(child), value});
        else if (!is_signed && dwarf_formudata(&*attribute, &word) == 0)
            all.push_back({name_of(child), std::int64_t(word)});
        return all.size() == kMostMembers;
    });
    return all;
}

TypeId ProgramTypes::Impl::import_array(Dwarf_Die& die, unsigned hops)
{
    std::vector<std::uint32_t> counts;
    for_each_child(die, [&](Dwarf_Die& child) {
        if (dwarf_tag(&child) == DW_TAG_subrange_type) {
            const auto count = number_of(child, DW_AT_count);
            const auto last = number_of(child, DW_AT_upper_bound);
            counts.push_back(std::uint32_t(count ? *count : last ? *last + 1 : 0));
        }
        return counts.size() == kMostHops;
    });
    TypeId made = import(type_of(die), hops + 1);
    for (auto count = counts.rbegin(); count != counts.rend(); ++count)
        made = types_.array_of(made, *count);
    return made;
}

// --- ProgramTypes -------------------------------------------------------------------------------

ProgramTypes::ProgramTypes(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProgramTypes::~ProgramTypes() = default;

std::shared_ptr<ProgramTypes> ProgramTypes::read(Types& types, ElfFile file,
                                                 const std::string& path, const Opener& open)
{
    const auto has_types = [](const ElfFile& of) {
        const auto size = of.section_size(".debug_info");
        return size && *size <= kMostBytes;
    };
    std::vector<Segment> segments = file.segments();
    std::uint64_t bias = 0;
    if (!has_types(file)) {
        auto debug = find_debug_file(file, path, open);
        if (!debug || !has_types(debug->file))
            return nullptr;
        bias = debug->bias;
        file = std::move(debug->file);
    }
    auto impl = std::make_shared<Impl>(types, std::move(file), bias, std::move(segments));
    if (!impl->is_good())
        return nullptr;
    return std::shared_ptr<ProgramTypes>(new ProgramTypes(std::move(impl)));
}

std::optional<ProgramFunction> ProgramTypes::find_function(std::uint64_t file_offset)
{
    return impl_->find_function(file_offset);
}

TypeSource ProgramTypes::source(std::uint64_t unit) const
{
    return {.find = [impl = impl_,
                     unit](std::string_view keyword,
                           std::string_view name) { return impl->find_type(unit, keyword, name); },
            .constant = [impl = impl_,
                         unit](std::string_view name) { return impl->find_enumerator(unit, name); },
            .names = [impl = impl_,
                      unit](std::string_view keyword) { return impl->names(unit, keyword); }};
}

} // namespace corebox::expr
