// A function that the program's calls of `name` reach. It has another name here, so that the headers' own declaration of `name`,
// with its attributes and aliases, does not come into it, and so that we can call it (calls of `name` go to inside.cc).
#pragma once

#define SWIOMMU_EXPORTED(name, function) asm(".globl " #name "\n.type " #name ", %function\n.set " #name ", " #function);
