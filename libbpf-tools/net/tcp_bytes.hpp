// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The columns of what a session carried: of rows with a member `bytes`, a tcp_bytes.
#pragma once
#include "output/column.hpp"
#include "tcp_bytes.h"

namespace corebox
{

// Of 1024 bytes, in hundredths.
template <class Row, auto Member>
consteval Column kilobytes_column(std::string_view key, std::string_view header,
                                  std::string_view help)
{
    return col<[](const Row& r) {
               return Fixed{r.bytes.*Member * 100 / 1024, 2};
           }>(key, header, -8, help, kTextOnly)
        .template from<fixed(field<&Row::bytes, Member> * 100 / 1024, 2)>();
}
template <class Row>
consteval Column sent_kilobytes_column()
{
    return kilobytes_column<Row, &tcp_bytes::sent>("tx_kb", "TX_KB",
                                                   "Kilobytes that the other side acknowledged");
}
template <class Row>
consteval Column received_kilobytes_column()
{
    return kilobytes_column<Row, &tcp_bytes::received>("rx_kb", "RX_KB", "Kilobytes received");
}
template <class Row>
consteval Column sent_bytes_column()
{
    return col<&Row::bytes, &tcp_bytes::sent>("tx_bytes", "TX_BYTES", -8,
                                              "Bytes that the other side acknowledged", kJsonOnly);
}
template <class Row>
consteval Column received_bytes_column()
{
    return col<&Row::bytes, &tcp_bytes::received>("rx_bytes", "RX_BYTES", -8, "Bytes received",
                                                  kJsonOnly);
}

} // namespace corebox
