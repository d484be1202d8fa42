// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes as sys/sdt.h of SystemTap makes them (USDT), without that header: a nop and a note.
#pragma once

// A probe PROVIDER:NAME. SEMAPHORE: the name of a USDT_SEMAPHORE in quotes, or "0". ARGUMENTS: the
// operands as notes have them; what follows are those of the asm statement that they name.
#define USDT_PROBE_WITH(provider, name, semaphore, arguments, ...)                                 \
    asm volatile("990: nop\n"                                                                      \
                 ".pushsection .note.stapsdt,\"?\",\"note\"\n"                                     \
                 ".balign 4\n"                                                                     \
                 ".4byte 992f-991f, 994f-993f, 3\n"                                                \
                 "991: .asciz \"stapsdt\"\n"                                                       \
                 "992: .balign 4\n"                                                                \
                 "993: .8byte 990b\n"                                                              \
                 ".8byte _.stapsdt.base\n"                                                         \
                 ".8byte " semaphore "\n"                                                          \
                 ".asciz \"" provider "\"\n"                                                       \
                 ".asciz \"" name "\"\n"                                                           \
                 ".asciz \"" arguments "\"\n"                                                      \
                 "994: .balign 4\n"                                                                \
                 ".popsection\n"                                                                   \
                 ".ifndef _.stapsdt.base\n"                                                        \
                 ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"           \
                 ".weak _.stapsdt.base\n"                                                          \
                 ".hidden _.stapsdt.base\n"                                                        \
                 "_.stapsdt.base: .space 1\n"                                                      \
                 ".size _.stapsdt.base, 1\n"                                                       \
                 ".popsection\n"                                                                   \
                 ".endif\n"                                                                        \
                 :                                                                                 \
                 : __VA_ARGS__)

// With two arguments.
#define USDT_PROBE(provider, name, semaphore, a, b)                                                \
    USDT_PROBE_WITH(provider, name, semaphore, "-4@%0 8@%1", "r"(a), "r"(b))

// Counts who traces; the kernel raises it.
#define USDT_SEMAPHORE(name)                                                                       \
    extern "C" {                                                                                   \
    [[gnu::section(".probes"), gnu::used]] volatile unsigned short name = 0;                       \
    }                                                                                              \
    static_assert(true)
