/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 240 allocations of 289,240 bytes that nobody frees, among others; also in a program of their own
 * (leaks/main.c), which has its C library in a file. */
#pragma once
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* The kernel follows frame pointers. */
#define LEAK_FRAME __attribute__((noinline, noipa, optimize("no-optimize-sibling-calls")))

static void *volatile kept[4096];
static int kept_now;

static inline void keep(void *p)
{
	kept[kept_now++] = p;
}

LEAK_FRAME void cbtest_leak_malloc(void)
{
	for (size_t i = 0; i < 100; i++)
		keep(malloc(1000 + i));
}

LEAK_FRAME void cbtest_leak_none(void)
{
	for (int i = 0; i < 500; i++) {
		void *volatile p = malloc(64);

		free(p);
	}
}

LEAK_FRAME void cbtest_leak_calloc(void)
{
	for (int i = 0; i < 50; i++)
		keep(calloc(10, 30));
}

LEAK_FRAME void cbtest_leak_realloc(void)
{
	for (int i = 0; i < 20; i++) {
		void *volatile p = malloc(10);

		for (size_t j = 1; j <= 5; j++)
			p = realloc(p, 1000 * j);
		keep(p);
	}
}

LEAK_FRAME void cbtest_leak_aligned(void)
{
	for (int i = 0; i < 10; i++) {
		void *p = 0;

		if (posix_memalign(&p, 4096, 5000))
			abort();
		keep(p);
		keep(aligned_alloc(64, 640));
		keep(memalign(128, 256));
	}
}

LEAK_FRAME void cbtest_leak_array(void)
{
	for (int i = 0; i < 10; i++)
		keep(reallocarray(0, 20, 50));
}

LEAK_FRAME void cbtest_leak_copies(void)
{
	for (int i = 0; i < 30; i++)
		keep(strdup("0123456789"));
}

static inline void leak_all(void)
{
	cbtest_leak_malloc();
	cbtest_leak_none();
	cbtest_leak_calloc();
	cbtest_leak_realloc();
	cbtest_leak_aligned();
	cbtest_leak_array();
	cbtest_leak_copies();
}
