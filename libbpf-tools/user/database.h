/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Statements of database servers, as the kernel side follows them (database.bpf.h). */
#pragma once
#include "abi/types.h"

enum database_server {
	SERVER_POSTGRES,
	SERVER_MYSQL, /* and MariaDB */
};

/* Of SERVER_POSTGRES; SERVER_MYSQL has the numbers of its protocol. */
enum postgres_command {
	POSTGRES_QUERY,   /* a string of the simple protocol, with all statements in it */
	POSTGRES_EXECUTE, /* a portal of the extended protocol */
};

/* Those that carry a text, or a number of a prepared statement (include/mysql_com.h). */
enum mysql_command {
	MYSQL_INIT_DB = 2,
	MYSQL_QUERY = 3,
	MYSQL_CREATE_DB = 5,
	MYSQL_DROP_DB = 6,
	MYSQL_PREPARE = 22,
	MYSQL_EXECUTE = 23,
	MYSQL_SEND_LONG_DATA = 24,
	MYSQL_CLOSE = 25,
	MYSQL_RESET = 26,
	MYSQL_FETCH = 28,
	MYSQL_BULK_EXECUTE = 250, /* MariaDB */
};

enum statement_outcome {
	STATEMENT_DONE,
	STATEMENT_FAILED, /* PostgreSQL: with an error */
	STATEMENT_DIED,   /* its thread ended before it did */
};

/* The size of a text that a NUL ends. */
#define TEXT_ENDS (~0u)

struct database_config {
	__u64 min_ns;
	/* dbstat's: */
	__u64 unit_ns;
	bool by_command, by_pid;
};

/* What a thread runs. */
struct statement {
	__u64 begin_ns;   /* 0: none is under way */
	__u64 source;     /* PostgreSQL: the text that its last status named */
	__u64 session;    /* MySQL: the THD */
	__u64 prepared;   /* MySQL: the Prepared_statement that it executes */
	__u32 id;         /* MySQL: the number of that in the protocol */
	__u32 depth;      /* PostgreSQL: portals that run */
	__u32 statements; /* PostgreSQL: of them, those that no other runs */
	__u8 server, command;
	__u8 is_simple;   /* PostgreSQL: a string of the simple protocol runs */
	__u8 unused;
};
