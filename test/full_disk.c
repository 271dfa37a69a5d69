/*
 * full_disk.c
 *		A disk that is full whenever a file says so, for tests.
 *
 * Preloaded into a server, it lets writes that would make a file longer fail with
 * ENOSPC while the file named by FULL_DISK exists, as they would on a full disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int
is_full(int fd, off_t end)
{
	const char *sign = getenv("FULL_DISK");
	struct stat status;

	return sign != NULL && access(sign, F_OK) == 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		   status.st_size < end;
}

static off_t
total(const struct iovec *parts, int count)
{
	off_t length = 0;

	for (int i = 0; i < count; i++)
		length += parts[i].iov_len;
	return length;
}

#define REFUSE(fd, end) \
	if (is_full(fd, end)) \
	{ \
		errno = ENOSPC; \
		return -1; \
	}

ssize_t
pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	static ssize_t (*original)(int, const void *, size_t, off_t);

	if (original == NULL)
		original = dlsym(RTLD_NEXT, "pwrite64");
	REFUSE(fd, offset + (off_t) count);
	return original(fd, bytes, count, offset);
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	static ssize_t (*original)(int, const struct iovec *, int, off_t);

	if (original == NULL)
		original = dlsym(RTLD_NEXT, "pwritev64");
	REFUSE(fd, offset + total(parts, count));
	return original(fd, parts, count, offset);
}

int
posix_fallocate(int fd, off_t offset, off_t length)
{
	static int (*original)(int, off_t, off_t);

	if (original == NULL)
		original = dlsym(RTLD_NEXT, "posix_fallocate64");
	return is_full(fd, offset + length) ? ENOSPC : original(fd, offset, length);
}

ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));
int posix_fallocate64(int, off_t, off_t) __attribute__((alias("posix_fallocate")));
