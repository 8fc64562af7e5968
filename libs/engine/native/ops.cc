// The addon's door: registers our operations with TensorFlow when it is loaded.
#include <node_api.h>

#include "ops.h"

static napi_value init(napi_env env, napi_value exports) {
  TF_Status* status = TF_NewStatus();
  const bool all = semdistill::registerAdam(status) && semdistill::registerLoss(status) && semdistill::registerAttention(status) && semdistill::registerRows(status) &&
                   semdistill::registerEmbedding(status) && semdistill::registerDistances(status);
  if (!all) napi_throw_error(env, nullptr, TF_Message(status));
  TF_DeleteStatus(status);
  return exports;
}

NAPI_MODULE(semdistill_ops, init)
