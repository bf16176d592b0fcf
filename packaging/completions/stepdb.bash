# Completion of `stepdb` for bash. Commands and options are those that the program's own help names,
# so what this knows is what the program has.
_stepdb() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local path=() help commands options at
    # The command so far: "stepdb run fork" of "stepdb run fork a --from b".
    help=$(command stepdb --help 2>/dev/null) || return
    for ((at = 1; at < COMP_CWORD; ++at)); do
        commands=$(_stepdb_names Subcommands "$help")
        case " ${commands//$'\n'/ } " in *" ${COMP_WORDS[at]} "*) ;; *) break ;; esac
        path+=("${COMP_WORDS[at]}")
        help=$(command stepdb "${path[@]}" --help 2>/dev/null) || return
    done
    COMPREPLY=()
    case $previous in
    --format)
        mapfile -t COMPREPLY < <(compgen -W 'table csv json jsonl' -- "$word")
        return
        ;;
    --log-format)
        mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$word")
        return
        ;;
    --log-level)
        mapfile -t COMPREPLY < <(compgen -W 'debug info warning error' -- "$word")
        return
        ;;
    --*)
        # Behind an option whose value is a file or a directory: what bash itself completes.
        if grep -qE -- "^  (-., )?(--[a-z-]+, )*$previous (DIR|FILE)( |$)" <<<"$help"; then
            compopt -o default 2>/dev/null
            return
        fi
        ;;
    esac
    if [[ $word == -* ]]; then
        options=$(_stepdb_names Options "$help" | tr ' ' '\n' | grep -- '^--')
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    commands=$(_stepdb_names Subcommands "$help")
    if [ -n "$commands" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
    else
        compopt -o default 2>/dev/null
    fi
}

# The names in a part of a help text, such as "Options".
_stepdb_names() {
    awk -v part="$1:" '
        /^[^ ]/ { inside = ($0 == part) }
        inside && /^  [^ ]/ {
            line = substr($0, 3)
            sub(/  .*/, "", line)
            gsub(/,|\.\.\./, "", line)
            count = split(line, words, " ")
            for (at = 1; at <= count; ++at)
                if (words[at] ~ /^-/ || at == 1) printf "%s ", words[at]
            print ""
        }' <<<"$2"
}

complete -F _stepdb stepdb
