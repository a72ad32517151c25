#include "client/cli/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

namespace sluice::client {
namespace {

// The words that may follow those of `path`.
void AddCases(const CLI::App& app, const std::string& path, const std::string& inherited,
              std::string& cases) {
  std::string options = inherited;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) options += " --" + name;
  }
  std::string words = options;
  for (const CLI::App* command : app.get_subcommands(nullptr)) words += " " + command->get_name();
  cases += fmt::format("    '{}') words='{}' ;;\n", path, words);
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    AddCases(*command, path.empty() ? command->get_name() : path + " " + command->get_name(),
             options, cases);
  }
}

}  // namespace

std::string CompletionOf(const CLI::App& app, bool zsh) {
  std::string cases;
  AddCases(app, "", "", cases);
  std::string commands;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    commands += (commands.empty() ? "" : "|") + command->get_name();
    for (const CLI::App* below : command->get_subcommands(nullptr)) {
      commands += fmt::format("|{}", below->get_name());
    }
  }
  const std::string script = fmt::format(R"(_sluice() {{
  local word words path=''
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in
      {}) path="${{path:+$path }}$word" ;;
    esac
  done
  case $path in
{}    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
  [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -F _sluice sluice
)",
                                         commands, cases);
  return zsh ? "autoload -U +X bashcompinit && bashcompinit\n" + script : script;
}

}  // namespace sluice::client
