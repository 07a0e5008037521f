# collective/serve.c
/^static void count_tasks/,/^}/s/if (!mask_has(command->mask, v))/if (slot == NULL)/
