/* The few macros of an AU program that operando_pull uses, on a stand-in of our own: what each does is counted and printed.
   Bruker's own header defines many more; a statement needs no semicolon after a macro, as there. */
#include <stdio.h>
#include <string.h>
static float cnst60 = -1.0f, shown = -1.0f;
static int calls = 0, acquired = 0;
static int called(const char *script)
{
  printf("call %s with %g\n", script, cnst60);
  if (strcmp(script, "operando_agent.py") != 0) return -1;
  cnst60 = ++calls <= 3 ? 4711.0f : (calls == 4 ? 1.0f : 4711.0f);
  return 0;
}
#define STOREPAR(name, value) { if (strcmp(name, "CNST 60") == 0) cnst60 = (value); }
#define FETCHPAR(name, place) { if (strcmp(name, "CNST 60") == 0) *(place) = shown; }
#define GETCURDATA { shown = cnst60; }
#define XPY(script) { if (called(script)) return -1; }
#define ZG { acquired++; }
#define QUIT return acquired;
int au(void)
{
#include "operando_pull.c"
}
int main(void)
{
  printf("acquired %d\n", au());
  return 0;
}
