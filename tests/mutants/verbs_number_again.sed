# transport/verbs_queue.c
s/           !link->arrivals\[number % endpoint->arrivals\]\.there;/           true;/
