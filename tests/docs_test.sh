#!/usr/bin/env bash
# Manual pages and completions against what the program says of itself: every option of every command
# is in its page and in each shell's completion, bash really completes it, no page is missing from what
# is installed, and anonset(3) names every exported function and no other.
set -uo pipefail
cd "${top_builddir:-.}" || exit 1
source=${srcdir:-.}
failures=0
completion=_anonset # bash's function under test

wrong()
{
    echo "$*"
    failures=$((failures + 1))
}

# complete WORD…: what bash offers for the last word.
complete_words()
{
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    "$completion"
    printf '%s\n' "${COMPREPLY[@]}"
}

offers()
{
    local wanted=$1
    shift
    grep -qxF -- "$wanted" <<<"$(complete_words "$@")" || wrong "bash does not offer $wanted after: $*"
}

# The lines of zsh's completion that belong to a command.
zsh_part()
{
    awk -v head="        $1)" '$0 == head {on = 1; next} $0 == "            ;;" {on = 0} on' generated/_anonset
}

check_option()
{
    local command=$1 option=$2 value=$3 page=generated/anonset-$1.1 fish word
    fish=$(grep -F -- "'__fish_seen_subcommand_from $command' -l ${option#--} " generated/anonset.fish)
    grep -qF -- "\\fB${option//-/\\-}\\fR" "$page" || wrong "$page: no $option"
    grep -qE -- "'\*?${option}=?\[" <<<"$(zsh_part "$command")" || wrong "zsh: no $option of $command"
    [ -n "$fish" ] || wrong "fish: no $option of $command"
    offers "$option" anonset "$command" "${option%?}"
    case $value in
    "") ;;
    PATH | FILE)
        offers config.status anonset "$command" "$option" config.st
        grep -q ' -F ' <<<"$fish" || wrong "fish: $option of $command completes no file"
        ;;
    *)
        for word in $(tr '|' '\n' <<<"$value" | grep -x '[a-z-]*'); do
            offers "$word" anonset "$command" "$option" ""
            offers "$word" anonset "$command" "$option" = "${word:0:1}"
            grep -qw -- "$word" <<<"$fish" || wrong "fish: $option of $command: no $word"
        done
        ;;
    esac
}

# shellcheck source=/dev/null
source generated/anonset.bash

commands=$(./anonset --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
checked=0
for command in $commands; do
    offers "$command" anonset "${command:0:1}"
    grep -qF "anonset\\-$command" generated/anonset.1 || wrong "anonset.1 does not name $command"
    grep -q -- " -a $command " generated/anonset.fish || wrong "fish: no $command"
    grep -q "^        '$command:" generated/_anonset || wrong "zsh: no $command"
    while read -r option value; do
        check_option "$command" "$option" "$value"
        checked=$((checked + 1))
    done < <(./anonset "$command" --help | grep '^  --' )
done
[ "$checked" -gt 20 ] || wrong "only $checked options found in --help"
for option in --help --version; do
    offers "$option" anonset "${option%?}"
    grep -qF -- "\\fB${option//-/\\-}\\fR" generated/anonset.1 || wrong "anonset.1: no $option"
done

# shellcheck source=/dev/null
source generated/anonset-convert.bash
completion=_anonset_convert
checked=0
while read -r option value; do
    grep -qF -- "\\fB${option//-/\\-}\\fR" generated/anonset-convert.1 || wrong "anonset-convert.1: no $option"
    grep -qE -- "'${option}=?\[" generated/_anonset-convert || wrong "zsh: no $option of anonset-convert"
    fish=$(grep -F -- "complete -c anonset-convert -l ${option#--} " generated/anonset-convert.fish) ||
        wrong "fish: no $option of anonset-convert"
    offers "$option" anonset-convert "${option%?}"
    for word in ${value//|/ }; do
        offers "$word" anonset-convert OLD "$option" "${word:0:1}"
        offers "$word" anonset-convert OLD "$option" = "${word:0:1}"
        grep -qw -- "$word" <<<"$fish" || wrong "fish: $option of anonset-convert: no $word"
    done
    checked=$((checked + 1))
done < <(./anonset-convert --help | sed -nE 's/^  (--[a-z-]+)( ([a-z|]+))?$/\1 \3/p')
[ "$checked" -gt 3 ] || wrong "only $checked options of anonset-convert found in --help"
offers config.status anonset-convert config.st
offers config.status anonset-convert --to lmdb config.st
grep -q "'1:OLD:_files' '2:NEW:_files'" generated/_anonset-convert || wrong "zsh: anonset-convert completes no file"

for file in $(./cli/mkdocs); do
    [ -s "generated/$file" ] || wrong "generated/$file is not made: name it in cli/Makefile.am.include"
done
./cli/mkdocs nothing >/dev/null 2>&1 && wrong "mkdocs writes a file that there is not"
./cli/mkdocs anonset.1 anonset.bash >/dev/null 2>&1 && wrong "mkdocs takes two files"
./cli/mkdocs anonset.1 2>/dev/null >/dev/full && wrong "mkdocs does not tell of a full disk"

diff <(sed -n '/^\.SH DESC/,$s/^\.BR\{0,1\} //p' "$source/doc/anonset.3" | grep -o 'anonset_[a-z_]*' |
    grep -vxE 'anonset_(detail|code)' | LC_ALL=C sort -u) \
    "$source/tests/symbols.txt" || wrong "anonset(3) and the exported functions differ"

# What the tools themselves think of it, where they are installed.
if command -v groff >/dev/null; then
    for page in generated/*.1 "$source/doc/anonset.3"; do
        [ -z "$(groff -man -Tascii -ww -z "$page" 2>&1)" ] || wrong "groff warns of $page"
    done
fi
if command -v zsh >/dev/null; then
    zsh -n generated/_anonset && zsh -n generated/_anonset-convert || wrong "zsh cannot read its completion"
fi
if command -v fish >/dev/null; then
    fish --no-execute generated/anonset.fish && fish --no-execute generated/anonset-convert.fish || wrong "fish cannot read its completion"
    grep -q '^follow' <<<"$(fish --no-config -c \
        'source generated/anonset.fish; complete -C "anonset sync --on-reorg "')" || wrong "fish does not complete a value"
fi
[ "$failures" -eq 0 ]
