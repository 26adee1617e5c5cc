/* Lists of name=value, as options of devices have them, QEMU's and ours. Private to runtime/cli. */
#pragma once

#include "runtime/cli/options.h"

/* One piece of `name=value,...`. Two commas stand for one, as in QEMU's file names. */
struct option_item {
    char text[DRIVE_PATH_ROOM + 16];
    const char *name;
    const char *value; /* NULL: no '=' */
};

bool option_is(const char *a, const char *b);

/* Copies a text for which the caller knows that there is room. */
void option_set_text(char *to, const char *from);

/* The next piece of *list, which is moved on; false at the end. A piece that is too long is an
 * error, and only then is e->text not empty. */
bool option_next(const char **list, struct option_item *it, struct err *e) MUST_CHECK;

/* The value, which must be there, fit and not be empty. */
bool option_copy(char *to, size_t room, const struct option_item *it, struct err *e) MUST_CHECK;

/* on, off, or no value for on. */
bool option_on_off(bool *to, const struct option_item *it, struct err *e) MUST_CHECK;

/* A setting of QEMU's that changes nothing here, and what to say to other values. */
struct option_habit {
    const char *name;
    const char *taken; /* values, a blank before and behind each */
    const char *advice;
};

/* Is it one of these? Then *ok says whether its value is taken; *e why not. */
bool option_is_habit(const struct option_habit *rows, unsigned n, const struct option_item *it,
                     bool *ok, struct err *e) MUST_CHECK;

/* What -device names: which bus the device is on. */
struct option_bus {
    char name[32]; /* of the device, as it was given */
    bool on_pci;
};

/* Is the name, of `len` characters, that of virtio device `base` ("virtio-blk") on some bus?
 * Without one it is PCI, as in QEMU. */
bool option_is_virtio(const char *name, size_t len, const char *base, struct option_bus *bus);

/* A setting of the bus's. Then *ok says whether its value is taken; *e why not. */
bool option_is_of_bus(const struct option_bus *bus, const struct option_item *it, bool *ok,
                      struct err *e) MUST_CHECK;

/* One more device of the board. */
bool option_add_virtio(struct options *o, enum virtio_kind kind, bool on_pci,
                       struct err *e) MUST_CHECK;
