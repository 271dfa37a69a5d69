/*
 * libuuid.c
 *		What libuuid does for ids, and how fast: its own version 7 (from 2.41 on)
 *		and whether it ascends, its random UUIDs, and its text form.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

#define COUNT 1000000

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void
report(const char *what, double start)
{
	printf("%-44s %8.0f ns\n", what, (seconds() - start) / COUNT * 1e9);
}

int
main(void)
{
	static uuid_t ids[COUNT];
	char text[37];
	double start;
	long sum = 0;

	start = seconds();
	for (int i = 0; i < COUNT; i++)
		uuid_generate_random(ids[i]);
	report("uuid_generate_random, a system call each", start);

	start = seconds();
	for (int i = 0; i < COUNT; i++)
	{
		uuid_unparse_lower(ids[i], text);
		sum += text[i % 36];
	}
	report("uuid_unparse_lower", start);

	start = seconds();
	for (int i = 0; i < COUNT; i++)
		sum += uuid_parse(text, ids[i]);
	report("uuid_parse", start);

#ifdef HAVE_UUID_V7
	{
		int not_ascending = 0;

		start = seconds();
		for (int i = 0; i < COUNT; i++)
			uuid_generate_time_v7(ids[i]);
		report("uuid_generate_time_v7", start);
		for (int i = 1; i < COUNT; i++)
			not_ascending += memcmp(ids[i - 1], ids[i], sizeof(uuid_t)) >= 0;
		printf("%-44s %8d of %d\n", "  of these, not above the one before", not_ascending, COUNT);
	}
#else
	printf("%-44s %11s\n", "uuid_generate_time_v7", "not there");
#endif
	return sum == 42;
}
