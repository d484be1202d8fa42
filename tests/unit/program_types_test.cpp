// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Types and functions as DWARF describes them, of tests/programs/types.cpp.
#include "../../libbpf-tools/dynamic/calling.hpp"
#include "../programs/programs.hpp"
#include "base/text.hpp"
#include "expr/program_types.hpp"
#include "symbols/elf.hpp"
#include <gtest/gtest.h>
#include <random>

namespace
{

using namespace corebox;
using expr::Member;
using expr::ProgramTypes;
using expr::Space;
using expr::Type;
using expr::TypeId;
using expr::Types;

std::shared_ptr<ProgramTypes> read(Types& types, std::string_view image)
{
    auto file = ElfFile::from_memory({image.data(), image.size()});
    return file ? ProgramTypes::read(types, std::move(*file), "", {}) : nullptr;
}

std::uint64_t offset_of(std::string_view image, std::string_view function)
{
    const auto file = ElfFile::from_memory({image.data(), image.size()});
    std::vector<RawSymbol> symbols;
    file->add_symbols(symbols);
    for (const RawSymbol& symbol : symbols)
        for (const Segment& s : file->segments())
            if (symbol.name == function && s.executable && symbol.value >= s.address &&
                symbol.value - s.address < s.file_size)
                return symbol.value - s.address + s.offset;
    return 0;
}

class ProgramTypesTest : public ::testing::Test
{
protected:
    std::string_view image = test::types_program_file();
    Types types;
    std::shared_ptr<ProgramTypes> program = read(types, image);
    std::optional<expr::ProgramFunction> take =
        program->find_function(offset_of(image, "types_take"));

    std::string describe(TypeId structure, std::string_view name)
    {
        const auto m = types.member(structure, name);
        return m ? cat(types[m->type].name, " at ", m->bit, m->bits ? cat(":", m->bits) : "")
                 : "none";
    }
};

TEST_F(ProgramTypesTest, FunctionsAndWhereTheirArgumentsAre)
{
    ASSERT_TRUE(take);
    ASSERT_EQ(take->parameters.size(), 5u);
    EXPECT_EQ(types[take->parameters[0].type].kind, Type::Kind::floating);
    EXPECT_EQ(take->parameters[1].name, "item");
    EXPECT_EQ(types[take->parameters[1].type].name, "struct Item __user *");
    EXPECT_EQ(types[take->parameters[3].type].name, "short int");
    EXPECT_EQ(types[take->result].name, "long int");
    const std::vector<expr::Parameter> parameters(take->parameters.begin(), take->parameters.end());
    // A double is in no register for integers; a pair takes two of them.
    EXPECT_EQ(place_arguments(types, parameters, take->result),
              (ArgumentWords{std::nullopt, 0, 1, 3, 4}));

    const auto make = program->find_function(offset_of(image, "types_make"));
    ASSERT_TRUE(make);
    EXPECT_EQ(types[make->parameters[0].type].name, "struct Item __user *"); // a reference
    const std::vector<expr::Parameter> two(make->parameters.begin(), make->parameters.end());
#ifdef __x86_64__
    EXPECT_EQ(place_arguments(types, two, make->result), (ArgumentWords{1, 2}));
#else
    EXPECT_EQ(place_arguments(types, two, make->result), (ArgumentWords{0, 1}));
#endif
    EXPECT_FALSE(program->find_function(offset_of(image, "types_take") + 1));
    EXPECT_FALSE(program->find_function(1 << 30));
}

TEST_F(ProgramTypesTest, Members)
{
    ASSERT_TRUE(take);
    const TypeId item = types[take->parameters[1].type].target;
    EXPECT_EQ(describe(item, "id"), "long int at 0"); // of its base
    EXPECT_EQ(describe(item, "kind"), "enum Kind at 64");
    EXPECT_EQ(describe(item, "level"), "unsigned int at 75:5");
    EXPECT_EQ(describe(item, "direction"), "enum Direction at 96");
    EXPECT_EQ(describe(item, "prices"), "int[3][2] at 128");
    EXPECT_EQ(describe(item, "name"), "char __user * at 320");
    EXPECT_EQ(describe(item, "next"), "struct Item __user * at 384");
    EXPECT_EQ(describe(item, "weight"), "double at 448");
    EXPECT_EQ(describe(item, "parts"), "unsigned char[4] at 512"); // of a nameless union
    EXPECT_EQ(describe(item, "total"), "none");                    // static
    EXPECT_TRUE(types[types.member(item, "id")->type].is_signed);
    const auto enumerators = types.enumerators(types.member(item, "direction")->type);
    ASSERT_EQ(enumerators.size(), 2u);
    EXPECT_EQ(enumerators[0].name, "kBack");
    EXPECT_EQ(enumerators[0].value, -1);
    // Of one that is only declared there is no more than its name.
    const TypeId hidden = types[take->parameters[4].type].target;
    EXPECT_EQ(types[hidden].name, "struct Hidden");
    EXPECT_EQ(types.members(hidden).size(), 0u);
}

// Names mean what they mean in the program, while its place is looked at.
TEST_F(ProgramTypesTest, Names)
{
    const auto kernel =
        types.add({.kind = Type::Kind::structure, .size = 4, .name = "struct Item"});
    types.add_source(
        {.find = [&](std::string_view, std::string_view name) -> std::optional<TypeId> {
            return name == "Item" || name == "u32" ? std::optional(kernel) : std::nullopt;
        }});
    EXPECT_EQ(types.find("struct", "Item"), kernel);
    const expr::TypeSource scope = program->source(take->unit);
    types.set_scope(&scope);
    const auto in_program = types.find("struct", "Item");
    ASSERT_TRUE(in_program);
    EXPECT_EQ(types[*in_program].size, 72u);
    EXPECT_EQ(types.constant("pen"), 4);
    EXPECT_EQ(types.find("", "Pair"), types.find("struct", "Pair"));
    EXPECT_EQ(types[*types.find("enum", "Kind")].size, 1u);
    EXPECT_EQ(types[*types.find("", "u32")].kind, Type::Kind::integer); // C's own come first
    EXPECT_FALSE(types.find("struct", "Hidden"));
    types.set_scope(nullptr);
    EXPECT_FALSE(types.constant("pen"));
    EXPECT_EQ(types.find("struct", "Item"), kernel);
    EXPECT_FALSE(types.find("struct", "Pair"));
}

TEST_F(ProgramTypesTest, FilesWithoutAreNull)
{
    EXPECT_EQ(read(types, image.substr(0, 4096)), nullptr);
    EXPECT_EQ(read(types, "no ELF file"), nullptr);
}

// Bytes of the description are anything at all: nothing but another description comes of it.
TEST_F(ProgramTypesTest, DamagedFiles)
{
    const std::uint64_t offset = offset_of(image, "types_take");
    // Behind the code, which begins at the second page.
    const std::size_t from = 0x2000;
    ASSERT_LT(from, image.size());
    std::mt19937 random(4711);
    for (int round = 0; round < 400; round++) {
        std::string damaged(image);
        for (int n = 0; n < 1 + round % 8; n++)
            damaged[from + random() % (damaged.size() - from)] = char(random());
        Types some;
        const auto program = read(some, damaged);
        const auto function = program ? program->find_function(offset) : std::nullopt;
        if (!program)
            continue;
        if (function)
            for (const auto& parameter : function->parameters) {
                TypeId type = parameter.type;
                if (some[type].kind == Type::Kind::pointer)
                    type = some[type].target;
                for (const std::string& name : some.member_names(type))
                    some.member(type, name);
                some.enumerators(type);
            }
        const auto source = program->source(function ? function->unit : 0);
        for (const char* name : {"Item", "Hidden", "nothing"})
            source.find("struct", name);
        source.constant("kForth");
        source.names("struct");
    }
}

} // namespace
