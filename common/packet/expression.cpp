// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "packet/expression.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "expr/splice.hpp"
#include "packet/compile.hpp"
#include "packet/translate.hpp"

namespace corebox::packet
{
namespace
{

[[noreturn]] void fail_expression(std::string_view expression, std::string_view why)
{
    std::string_view hint = "see pcap-filter(7)";
    if (why.starts_with("unknown host") || why.starts_with("unknown network"))
        hint = "use an address: names of hosts are not looked up";
    fail_usage(cat("--pcap '", expression, "': ", why, "; ", hint));
}

} // namespace

std::vector<std::byte> give_expression(std::span<const std::byte> object,
                                       std::string_view expression)
{
    const Compiled compiled = compile(expression);
    if (!compiled.error.empty())
        fail_expression(expression, compiled.error);
    std::vector<bpf_insn> instructions;
    try {
        instructions = translate(compiled.code);
    } catch (const Failure& failure) {
        fail_expression(expression, failure.message);
    }
    const expr::Body bodies[] = {{"cb_packet", instructions}};
    return expr::splice(object, bodies);
}

} // namespace corebox::packet
