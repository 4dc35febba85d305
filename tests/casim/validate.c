#include "validate.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "order.h"
#include "settings.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static struct sim_task *first, **last = &first;

static json_t *check(const struct sim_task *task)
{
	const char *problem = json_string_value(json_object_get(task->order, "problem"));
	const char *detail = json_string_value(json_object_get(task->order, "detail"));

	if (problem)
		return sim_problem_json(
			400, problem, "%s", detail ? detail : "as the test has ordered");
	if (task->always_valid)
		return NULL;
	if (strcmp(task->type, "http-01") == 0)
		return sim_validate_http(task);
	if (strcmp(task->type, "dns-persist-01") == 0)
		return sim_validate_persist(task);
	return sim_problem_json(400, "unauthorized", "no validation of this type");
}

static void task_free(struct sim_task *task)
{
	free(task->name);
	free(task->key_authorization);
	free(task->account_url);
	free(task->address);
	free(task->dns);
	free(task->issuer_domain);
	json_decref(task->order);
	free(task);
}

static struct sim_task *take(void)
{
	struct sim_task *task;

	pthread_mutex_lock(&lock);
	while (!first)
		pthread_cond_wait(&filled, &lock);
	task = first;
	first = task->next;
	if (!first)
		last = &first;
	pthread_mutex_unlock(&lock);
	return task;
}

static void pause_ms(int64_t ms)
{
	struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&span, NULL);
}

static void *validator(void *arg)
{
	for (;;) {
		struct sim_task *task = take();
		json_t *error;

		if (task->delay_ms > 0)
			pause_ms(task->delay_ms);
		error = check(task);
		pthread_mutex_lock(&task->sim->lock);
		sim_authz_decide(task->sim, task->authz, task->challenge, error);
		pthread_mutex_unlock(&task->sim->lock);
		task_free(task);
	}
	return arg;
}

void sim_validate_init(unsigned threads)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	for (unsigned i = 0; i < threads; i++) {
		pthread_t thread;

		SIM_NEED(pthread_create(&thread, NULL, validator, NULL) == 0);
		pthread_detach(thread);
	}
}

void sim_validate_start(struct sim_task *task)
{
	const struct sim *sim = task->sim;
	const json_t *delay;

	task->address = sim_copy(sim_str(sim, "validation", "address"));
	task->dns = sim_copy(sim_str(sim, "validation", "dns"));
	task->issuer_domain = sim_copy(sim_str(sim, "challenges", "issuer_domain"));
	task->http_port = (unsigned)sim_int(sim, "validation", "http_port");
	task->tls_port = (unsigned)sim_int(sim, "validation", "tls_port");
	task->timeout_ms = sim_int(sim, "validation", "timeout_ms");
	task->max_b = (size_t)sim_int(sim, "validation", "max_b");
	task->always_valid = sim_bool(sim, "validation", "always_valid");
	task->order = json_deep_copy(
		json_object_get(sim_name_settings(sim, task->name), "validation"));
	delay = json_object_get(task->order, "delay_ms");
	task->delay_ms = delay ? (int64_t)json_number_value(delay)
			       : sim_int(sim, "validation", "delay_ms");
	pthread_mutex_lock(&lock);
	*last = task;
	last = &task->next;
	pthread_cond_signal(&filled);
	pthread_mutex_unlock(&lock);
}
