/* The numbers that jump-cache tags and page cells are made of, given out for all harts that share
 * translated code. README.md, "Salts", says what they promise. */
#pragma once

#include <stdbool.h>

struct salts;

/* n_harts: that will share them. */
struct salts *salts_create(unsigned n_harts);
void salts_destroy(struct salts *s);

/* ---- Several harts: when the ids run low (mmu_set_salt_wrap), with the world stopped ---- */

bool salts_are_low(const struct salts *s);
/* Every page cell has been emptied; each hart calls mmu_begin_anew() before it makes a tag again.
 */
void salts_begin_anew(struct salts *s);
