// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The program that the exec workload runs.
int main(void) { return 0; }
