#include <CLI/CLI.hpp>
#include "tools/commands.h"
namespace swiommu::tools { void add_demo(CLI::App&, int&) {} }
